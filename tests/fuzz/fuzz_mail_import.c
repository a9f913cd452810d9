/* fuzz_mail_import - tables of other programs: what is read is a name and a host, or a mistake. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "lbd/mail/mail_import.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect_name(struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        assert((unsigned char)text.ptr[i] >= ' ');
    }
    assert(text.len <= MAIL_USER_MAX);
}

/* The first byte is the kind. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mail_import import;
    struct mail_import_entry entry;
    const char *why;
    if (size == 0) {
        return 0;
    }
    mail_import_init(&import, (enum mail_import_kind)(data[0] % 3),
                     slice_of((const char *)data + 1, size - 1));
    for (size_t i = 0;; i++) {
        assert(i <= size);
        switch (mail_import_next(&import, &entry, &why)) {
        case MAIL_IMPORT_ENTRY:
            assert(entry.key.len != 0 && entry.server.len != 0);
            expect_name(entry.key);
            expect_name(entry.user);
            expect_name(entry.server);
            break;
        case MAIL_IMPORT_BAD:
            assert(why[0] != '\0');
            break;
        case MAIL_IMPORT_END:
            return 0;
        }
    }
}
