/* fuzz_sieve_server - what mail_fuzz.h says, of sieve_server. */
#include "tests/fuzz/mail_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return mail_fuzz_server(MAIL_SIEVE, data, size);
}
