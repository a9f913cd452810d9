/*
 * tls_time - the times of certificates as ours. For this room only.
 *
 * Threads: any.
 */
#ifndef LBD_TLS_TLS_TIME_H
#define LBD_TLS_TLS_TIME_H

#include <stdint.h>
#include <time.h>

#include <openssl/asn1.h>

/* Wall clock; 0: before 1970, or none. */
static inline uint64_t tls_time_us(const ASN1_TIME *when)
{
    struct tm parts;
    if (when == NULL || ASN1_TIME_to_tm(when, &parts) != 1) {
        return 0;
    }
    time_t seconds = timegm(&parts);
    return seconds > 0 ? (uint64_t)seconds * 1000000U : 0;
}

#endif
