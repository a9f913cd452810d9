/*
 * mail_fuzz - whatever a peer of a mail protocol sends, and however it is cut, the same happens, no
 * name that could end a line comes out of it, and what we say is whole lines of text.
 *
 * The first byte of an input chooses how the peer stands to us, the next two where the rest is cut.
 *
 * Threads: one.
 */
#ifndef TESTS_FUZZ_MAIL_FUZZ_H
#define TESTS_FUZZ_MAIL_FUZZ_H

#include <stddef.h>
#include <stdint.h>

#include "lbd/mail/mail_protocol.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Each is the whole of a fuzz target, and gives 0. */
int mail_fuzz_client(enum mail_protocol protocol, const uint8_t *data, size_t size);
int mail_fuzz_server(enum mail_protocol protocol, const uint8_t *data, size_t size);

#endif
