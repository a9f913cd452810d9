/* fuzz_pop3_server - what mail_fuzz.h says, of pop3_server. */
#include "tests/fuzz/mail_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return mail_fuzz_server(MAIL_POP3, data, size);
}
