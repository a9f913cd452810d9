/* Notes of revisions, as they may lie in a state directory that somebody else has written to. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "conf/conf_revision.h"
#include "lbd/base/compiler.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct conf_revision one;
    struct conf_revision two;
    struct err err;
    struct buf text;
    conf_revision_init(&one, 7);
    two = one;
    if (!conf_revision_read(&one, slice_of((const char *)data, size), &err)) {
        assert(err.kind == ERR_MALFORMED);
        assert(memcmp(&one, &two, sizeof(one)) == 0);
        return 0;
    }
    /* What was read can be written, and reads the same again. */
    buf_init(&text, CONF_REVISION_TEXT_MAX);
    conf_revision_write(&one, &text);
    assert(!text.overflow);
    conf_revision_init(&two, 7);
    bool again = conf_revision_read(&two, buf_slice(&text), &err);
    assert(again && two.time_us == one.time_us && two.is_confirmed == one.is_confirmed);
    assert(strcmp(two.summary, one.summary) == 0 && strcmp(two.owner, one.owner) == 0);
    buf_fini(&text);
    return 0;
}
