/* fuzz_pop3_client - what mail_fuzz.h says, of pop3_client. */
#include "tests/fuzz/mail_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return mail_fuzz_client(MAIL_POP3, data, size);
}
