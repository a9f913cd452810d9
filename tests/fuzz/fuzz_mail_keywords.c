/* Two lists of what servers can, with a NUL between them: what both have is in both, and all of a
 * list is in what it has in common with itself. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "lbd/mail/mail_keywords.h"
#include "lbd/mail/mail_protocol.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Is every keyword of `list` in `other`? */
static void expect_within(struct slice list, struct slice other, enum mail_keywords_form form)
{
    struct buf beyond;
    buf_init(&beyond, MAIL_CAPABILITIES_MAX);
    mail_keywords_beyond(list, other, form, &beyond);
    assert(beyond.len == 0);
    buf_fini(&beyond);
}

static void hold_together(struct slice a, struct slice b, enum mail_keywords_form form)
{
    struct buf common;
    buf_init(&common, MAIL_CAPABILITIES_MAX);
    mail_keywords_common(a, b, form, &common);
    assert(common.len <= MAIL_CAPABILITIES_MAX);
    if (!common.overflow) {
        expect_within(buf_slice(&common), a, form);
        expect_within(buf_slice(&common), b, form);
    }
    buf_clear(&common);
    mail_keywords_common(a, a, form, &common);
    if (!common.overflow) {
        expect_within(a, buf_slice(&common), form);
    }
    buf_fini(&common);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice a = slice_of((const char *)data, size);
    struct slice b = SLICE_NONE;
    const char *cut = size > 0 ? memchr(data, '\0', size) : NULL;
    if (cut != NULL) {
        a.len = (size_t)(cut - a.ptr);
        b = slice_of(cut + 1, size - a.len - 1);
    }
    hold_together(a, b, MAIL_KEYWORDS_WORDS);
    hold_together(a, b, MAIL_KEYWORDS_LINES);
    return 0;
}
