/* imap_park - see imap_park.h. */
#include "lbd/mail/imap_park.h"

#include <assert.h>
#include <string.h>

#include "lbd/base/num.h"

enum { QUIET, WANTS_UNSELECTED, WANTS_NOOP, BROKEN };

void imap_park_init(struct imap_park *park, uint64_t number)
{
    memset(park, 0, sizeof(*park));
    park->number = number;
}

/* "lbd", the number, and what for. */
static size_t write_tag(const struct imap_park *park, char what, char *out)
{
    memcpy(out, "lbd", 3);
    size_t len = 3 + num_write_hex(out + 3, park->number);
    out[len] = what;
    return len + 1;
}

static size_t write_command(const struct imap_park *park, char what, struct slice line, char *out)
{
    size_t len = write_tag(park, what, out);
    memcpy(out + len, line.ptr, line.len);
    return len + line.len;
}

static struct slice ask(struct imap_park *park, bool unselect, char out[IMAP_PARK_OUT_MAX])
{
    size_t len = 0;
    assert(park->state == QUIET);
    park->number++; /* no tag is used twice */
    park->discarded = 0;
    park->is_asked = true;
    park->state = WANTS_NOOP;
    if (unselect) {
        len = write_command(park, 'U', SLICE(" UNSELECT\r\n"), out);
        park->state = WANTS_UNSELECTED;
    }
    len += write_command(park, 'N', SLICE(" NOOP\r\n"), out + len);
    return slice_of(out, len);
}

struct slice imap_park_check_in(struct imap_park *park, bool unselect, char out[IMAP_PARK_OUT_MAX])
{
    return ask(park, unselect, out);
}

struct slice imap_park_ask(struct imap_park *park, char out[IMAP_PARK_OUT_MAX])
{
    return ask(park, false, out);
}

/* False: nobody asked for that. */
static bool on_tagged(struct imap_park *park, const struct imap_lines_response *response)
{
    char tag[IMAP_LINES_TAG_MAX];
    size_t len = write_tag(park, park->state == WANTS_UNSELECTED ? 'U' : 'N', tag);
    if (park->state == QUIET || response->word != IMAP_LINES_OK ||
        !slice_eq(response->tag, slice_of(tag, len))) {
        return false;
    }
    park->state = park->state == WANTS_UNSELECTED ? WANTS_NOOP : QUIET;
    return true;
}

static bool on_response(struct imap_park *park, const struct imap_lines_response *response)
{
    switch (response->kind) {
    case IMAP_LINES_UNTAGGED:
        return response->word != IMAP_LINES_BYE && response->word != IMAP_LINES_PREAUTH;
    case IMAP_LINES_CONTINUE:
        return false;
    case IMAP_LINES_TAGGED:
        return on_tagged(park, response);
    }
    return false;
}

/* False: broken. */
static bool feed(struct imap_park *park, const char *bytes, size_t len)
{
    size_t at = 0;
    while (at < len) {
        struct imap_lines_response response;
        size_t used = 0;
        switch (imap_lines_feed(&park->lines, bytes + at, len - at, &used, &response)) {
        case IMAP_LINES_MORE:
            return true;
        case IMAP_LINES_LOST:
            return false;
        case IMAP_LINES_DONE:
            break;
        }
        at += used;
        if (!on_response(park, &response)) {
            return false;
        }
    }
    return true;
}

enum imap_park_event imap_park_feed(struct imap_park *park, const char *bytes, size_t len)
{
    if (park->state == BROKEN || len > IMAP_PARK_DISCARD_MAX - park->discarded ||
        !feed(park, bytes, len)) {
        park->state = BROKEN;
        return IMAP_PARK_BROKEN;
    }
    park->discarded += (uint32_t)len;
    if (!park->is_asked || !imap_park_is_quiet(park)) {
        return IMAP_PARK_MORE;
    }
    park->is_asked = false;
    return IMAP_PARK_READY;
}

bool imap_park_is_quiet(const struct imap_park *park)
{
    return park->state == QUIET && imap_lines_is_between(&park->lines);
}
