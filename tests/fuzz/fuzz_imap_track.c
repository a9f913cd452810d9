/*
 * fuzz_imap_track - what is known of an IMAP connection does not depend on how its bytes come; what
 * was kept from the server is a LOGOUT line, or the end of an UNAUTHENTICATE, and nothing else; a
 * parked connection is ready after one answer only.
 *
 *     byte 0: the size of the pieces, its top bit: LOGOUT is kept back
 *     then runs: a byte with the length in its low seven bits, its top bit: of the server
 *
 * Threads: the main thread.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lbd/mail/imap_park.h"
#include "lbd/mail/imap_track.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define RUN_MAX 128U

static void must(bool ok)
{
    if (!ok) {
        abort();
    }
}

struct side {
    struct imap_track track;
    char kept[IMAP_TRACK_HELD_MAX + RUN_MAX];
    size_t kept_len;
    size_t passed;
    uint64_t sum; /* of what was passed */
    bool logout;
};

static void client(struct side *side, const char *bytes, size_t len)
{
    if (side->logout) {
        return;
    }
    memcpy(side->kept + side->kept_len, bytes, len);
    side->kept_len += len;
    struct imap_track_said said = imap_track_client(&side->track, side->kept, side->kept_len);
    must(said.pass <= said.used && said.used <= side->kept_len);
    for (size_t i = 0; i < said.pass; i++) {
        side->sum = side->sum * 31 + (unsigned char)side->kept[i];
    }
    side->passed += said.pass;
    side->logout = said.logout || said.leaves_user;
    side->kept_len -= said.used;
    memmove(side->kept, side->kept + said.used, side->kept_len);
    if (side->logout) {
        must(said.leaves_user ? said.used == said.pass + 1 : said.tag.len > 0);
        side->kept_len = 0;
    } else {
        must(said.used == said.pass);
        must(side->kept_len == 0 || side->track.holds_logout);
        must(side->kept_len <= IMAP_TRACK_HELD_MAX);
    }
}

static void run(struct side *side, bool is_server, const char *bytes, size_t len, size_t step)
{
    for (size_t at = 0; at < len; at += step) {
        size_t part = len - at < step ? len - at : step;
        if (is_server) {
            imap_track_server(&side->track, bytes + at, part);
        } else {
            client(side, bytes + at, part);
        }
    }
}

static void park(const char *bytes, size_t len, size_t step)
{
    struct imap_park whole;
    struct imap_park cut;
    char out[IMAP_PARK_OUT_MAX];
    imap_park_init(&whole, 0);
    imap_park_init(&cut, 0);
    (void)imap_park_check_in(&whole, (len & 1U) != 0, out);
    (void)imap_park_check_in(&cut, (len & 1U) != 0, out);
    (void)imap_park_feed(&whole, bytes, len);
    for (size_t at = 0; at < len; at += step) {
        (void)imap_park_feed(&cut, bytes + at, len - at < step ? len - at : step);
    }
    must(whole.state == cut.state && imap_park_is_quiet(&whole) == imap_park_is_quiet(&cut));
    must(len >= sizeof("lbd1N OK") || !imap_park_is_quiet(&whole));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    struct slab slab;
    struct side sides[2] = {{.passed = 0}, {.passed = 0}};
    size_t step = (data[0] & 0x7FU) + 1U;
    slab_init(&slab, sizeof(struct imap_track_work), 64U * 1024);
    for (int i = 0; i < 2; i++) {
        imap_track_init(&sides[i].track, SLICE_NONE, &slab);
        sides[i].track.holds_logout = (data[0] & 0x80U) != 0;
    }
    for (size_t at = 1; at < size;) {
        bool is_server = (data[at] & 0x80U) != 0;
        size_t len = (data[at] & 0x7FU) + 1U;
        at++;
        len = len < size - at ? len : size - at;
        run(&sides[0], is_server, (const char *)data + at, len, RUN_MAX);
        run(&sides[1], is_server, (const char *)data + at, len, step);
        at += len;
    }
    must(imap_track_doubt(&sides[0].track) == imap_track_doubt(&sides[1].track));
    must(imap_track_outstanding(&sides[0].track) == imap_track_outstanding(&sides[1].track));
    must(imap_track_has_mailbox(&sides[0].track) == imap_track_has_mailbox(&sides[1].track));
    must(imap_track_may_speak(&sides[0].track) == imap_track_may_speak(&sides[1].track));
    must(sides[0].passed == sides[1].passed && sides[0].sum == sides[1].sum);
    must(sides[0].logout == sides[1].logout);
    for (int i = 0; i < 2; i++) {
        imap_track_fini(&sides[i].track);
    }
    must(slab.objects == 0);
    slab_fini(&slab);
    park((const char *)data + 1, size - 1, step);
    return 0;
}
