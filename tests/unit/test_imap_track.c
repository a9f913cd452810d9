#include <string.h>

#include "lbd/base/compiler.h"
#include "lbd/mail/imap_track.h"
#include "tests/unit/unit.h"

static struct slab slab;

static void setup(void)
{
    slab_init(&slab, sizeof(struct imap_track_work), 64 * 1024);
}

static void teardown(void)
{
    ck_assert_uint_eq(slab.objects, 0);
    slab_fini(&slab);
}

/* Steps "C bytes" and "S bytes", each ended by a NUL; what is known after all of them. */
static const struct {
    const char *steps;
    enum imap_track_doubt doubt;
    uint32_t outstanding;
    bool mailbox;
    bool may_speak;
} cases[] = {
    {"", IMAP_TRACK_CLEAN, 0, false, true},
    {"Ca NOOP\r\n\0", IMAP_TRACK_OUTSTANDING, 1, false, true},
    {"Ca NOOP\r\n\0Sa OK x\r\n\0", IMAP_TRACK_CLEAN, 0, false, true},
    {"Ca noop\n\0Sa OK x\n\0", IMAP_TRACK_CLEAN, 0, false, true},
    {"Ca NOOP\r\nb NOOP\r\n\0Sa OK x\r\nb OK x\r\n\0", IMAP_TRACK_CLEAN, 0, false, true},
    {"Ca NOOP\r\nb NOOP\r\n\0Sb OK x\r\n\0", IMAP_TRACK_OUTSTANDING, 1, false, true},
    {"Ca NOOP\r\nb NO\0Sa OK x\r\n\0", IMAP_TRACK_OUTSTANDING, 0, false, true},
    {"Ca NOOP\r\n\0Sa OK x\r\n* 1 EX\0", IMAP_TRACK_OUTSTANDING, 0, false, false},
    {"S* 1 FETCH (BODY[] {4}\r\na O\0", IMAP_TRACK_OUTSTANDING, 0, false, false},
    {"S* 1 FETCH (BODY[] {4}\r\na O\n)\r\n\0", IMAP_TRACK_CLEAN, 0, false, true},
    /* an answer that nobody waits for */
    {"Sa OK x\r\n\0", IMAP_TRACK_OPAQUE, 0, false, false},
    {"Ca NOOP\r\n\0Sa OK x\r\na OK x\r\n\0", IMAP_TRACK_OPAQUE, 0, false, false},
    {"Ca NOOP\r\n\0S+ go on\r\n\0", IMAP_TRACK_OPAQUE, 0, false, false},
    {"Ca NOOP\r\n\0S* BYE x\r\n\0", IMAP_TRACK_BYE, 1, false, true},
    /* the same tag for two: whose answer is it? */
    {"Ca NOOP\r\na NOOP\r\n\0Sa OK x\r\na OK x\r\n\0", IMAP_TRACK_STICKY, 0, false, true},
    {"Ca NOOP\r\n\0Sa OK x\r\n\0Ca NOOP\r\n\0Sa OK x\r\n\0", IMAP_TRACK_CLEAN, 0, false, true},

    /* mailboxes */
    {"Ca SELECT x\r\n\0S* FLAGS ()\r\na OK [READ-WRITE] x\r\n\0", IMAP_TRACK_CLEAN, 0, true, true},
    {"Ca EXAMINE x\r\n\0Sa OK [READ-ONLY] x\r\n\0", IMAP_TRACK_CLEAN, 0, true, true},
    {"Ca SELECT x\r\nb SELECT y\r\n\0Sa OK x\r\nb NO x\r\n\0", IMAP_TRACK_CLEAN, 0, false, true},
    {"Ca SELECT x\r\nb SELECT y\r\n\0Sa OK x\r\nb BAD x\r\n\0", IMAP_TRACK_CLEAN, 0, true, true},
    {"Ca SELECT x\r\nb CLOSE\r\n\0Sa OK x\r\nb OK x\r\n\0", IMAP_TRACK_CLEAN, 0, false, true},
    {"Ca SELECT x\r\nb UNSELECT\r\n\0Sa OK x\r\nb NO x\r\n\0", IMAP_TRACK_CLEAN, 0, true, true},
    {"Ca SELECT {1}\r\n\0S+ x\r\n\0Cx\r\n\0Sa OK x\r\n\0", IMAP_TRACK_CLEAN, 0, true, true},

    /* literals of the client */
    {"Ca APPEND x {5}\r\n\0", IMAP_TRACK_OUTSTANDING, 1, false, true},
    {"Ca APPEND x {5}\r\n\0S+ x\r\n\0Ca X\r\n\0", IMAP_TRACK_OUTSTANDING, 1, false, true},
    {"Ca APPEND x {5}\r\n\0S+ x\r\n\0Ca X\r\n\r\n\0Sa OK x\r\n\0", IMAP_TRACK_CLEAN, 0, false,
     true},
    {"Ca APPEND x {5}\r\n\0Sa NO x\r\n\0Cb NOOP\r\n\0Sb OK x\r\n\0", IMAP_TRACK_CLEAN, 0, false,
     true},
    {"Ca APPEND x {5}\r\nhello\0", IMAP_TRACK_OPAQUE, 0, false, false}, /* it did not wait */
    {"Ca APPEND x {5+}\r\nb X\r\n\r\nc NOOP\r\n\0Sa OK x\r\nc OK x\r\n\0", IMAP_TRACK_CLEAN, 0,
     false, true},
    {"Ca APPEND x (\\Seen) ~{5+}\r\nb X\r\n\r\n\0Sa OK x\r\n\0", IMAP_TRACK_CLEAN, 0, false, true},
    {"Ca APPEND x {0+}\r\n\r\n\0Sa OK x\r\n\0", IMAP_TRACK_CLEAN, 0, false, true},
    {"Ca APPEND x {0}\r\n\0S+ x\r\n\0C\r\n\0Sa OK x\r\n\0", IMAP_TRACK_CLEAN, 0, false, true},
    {"Ca APPEND {1+}\r\nx {2+}\r\nyz\r\n\0Sa OK x\r\n\0", IMAP_TRACK_CLEAN, 0, false, true},
    {"Ca APPEND {1+}\r\nx{2+}\r\nyz\r\n\0", IMAP_TRACK_OPAQUE, 0, false, false},
    {"Ca SEARCH x{2+}\r\n\0", IMAP_TRACK_OPAQUE, 0, false, false},
    {"Ca SEARCH {2+} x\r\n\0", IMAP_TRACK_OPAQUE, 0, false, false},
    {"Ca SEARCH {}\r\n\0", IMAP_TRACK_OPAQUE, 0, false, false},
    {"Ca SEARCH {-1}\r\n\0", IMAP_TRACK_OPAQUE, 0, false, false},
    {"Ca SEARCH {18446744073709551616}\r\n\0", IMAP_TRACK_OPAQUE, 0, false, false},
    {"Ca SEARCH SUBJECT \"x {2}\"\r\n\0Sa OK x\r\n\0", IMAP_TRACK_CLEAN, 0, false, true},
    {"Ca SEARCH SUBJECT \"x\\\" {2}\"\r\n\0Sa OK x\r\n\0", IMAP_TRACK_CLEAN, 0, false, true},
    {"Ca SEARCH SUBJECT \"x {2}\r\n\0", IMAP_TRACK_OPAQUE, 0, false, false},
    {"Ca SEARCH SUBJECT \"x\\\\\"\r\n\0Sa OK x\r\n\0", IMAP_TRACK_CLEAN, 0, false, true},

    /* IDLE */
    {"Ca IDLE\r\n\0", IMAP_TRACK_OUTSTANDING, 1, false, true},
    {"Ca IDLE\r\n\0S+ x\r\n* 2 EXISTS\r\n\0", IMAP_TRACK_OUTSTANDING, 1, false, true},
    {"Ca IDLE\r\n\0S+ x\r\n\0CDONE\r\n\0", IMAP_TRACK_OUTSTANDING, 1, false, true},
    {"Ca IDLE\r\n\0S+ x\r\n\0Cdone\r\n\0Sa OK x\r\n\0", IMAP_TRACK_CLEAN, 0, false, true},
    {"Ca IDLE\r\nDONE\r\nb NOOP\r\n\0S+ x\r\na OK x\r\nb OK x\r\n\0", IMAP_TRACK_CLEAN, 0, false,
     true},
    {"Ca IDLE\r\n\0Sa NO x\r\n\0Cb NOOP\r\n\0Sb OK x\r\n\0", IMAP_TRACK_CLEAN, 0, false, true},
    {"Ca IDLE\r\n\0S+ x\r\n\0Cb NOOP\r\n\0", IMAP_TRACK_OPAQUE, 0, false, false},
    {"Ca IDLE\r\n\0S+ x\r\n\0CDONE \r\n\0", IMAP_TRACK_OPAQUE, 0, false, false},
    {"Ca IDLE\r\nDONE\r\nb APPEND x {1}\r\n\0S+ x\r\n\0", IMAP_TRACK_OUTSTANDING, 2, false, true},
    {"Ca IDLE\r\nDONE\r\nb APPEND x {1}\r\n\0S+ x\r\na OK x\r\n+ x\r\n\0Cy\r\n\0Sb OK x\r\n\0",
     IMAP_TRACK_CLEAN, 0, false, true},
    {"Ca IDLE\r\nDONE\r\nb IDLE\r\n\0", IMAP_TRACK_OPAQUE, 0, false, false},
    {"Ca IDLE\r\n\0S+ x\r\na OK timeout\r\n\0CDONE\r\n\0", IMAP_TRACK_OPAQUE, 0, false, false},

    /* what stays */
    {"Ca ENABLE QRESYNC\r\n\0Sa OK x\r\n\0", IMAP_TRACK_STICKY, 0, false, true},
    {"Ca NOTIFY NONE\r\n\0Sa OK x\r\n\0", IMAP_TRACK_STICKY, 0, false, true},
    {"Ca LANGUAGE de\r\n\0Sa OK x\r\n\0", IMAP_TRACK_STICKY, 0, false, true},
    {"Ca XYZZY\r\n\0Sa BAD x\r\n\0", IMAP_TRACK_STICKY, 0, false, true},
    {"Ca UID XYZZY 1\r\n\0Sa BAD x\r\n\0", IMAP_TRACK_STICKY, 0, false, true},
    {"Ca UID NOOP\r\n\0Sa BAD x\r\n\0", IMAP_TRACK_STICKY, 0, false, true},
    {"Ca UID\r\n\0Sa BAD x\r\n\0", IMAP_TRACK_CLEAN, 0, false, true},
    {"Ca UNCHANGEDSINCEX\r\n\0Sa BAD x\r\n\0", IMAP_TRACK_STICKY, 0, false, true},
    {"Ca SELECTSELECTSELECT x\r\n\0Sa OK x\r\n\0", IMAP_TRACK_STICKY, 0, false, true},
    {"Ca SELECT x (CONDSTORE)\r\n\0Sa OK x\r\n\0", IMAP_TRACK_STICKY, 0, true, true},
    {"Ca STATUS x (MESSAGES HighestModSeq)\r\n\0Sa OK x\r\n\0", IMAP_TRACK_STICKY, 0, false, true},
    {"Ca FETCH 1 (FLAGS MODSEQ)\r\n\0Sa OK x\r\n\0", IMAP_TRACK_STICKY, 0, false, true},
    {"Ca UID FETCH 1:* (FLAGS) (CHANGEDSINCE 5)\r\n\0Sa OK x\r\n\0", IMAP_TRACK_STICKY, 0, false,
     true},
    {"Ca STORE 1 (UNCHANGEDSINCE 5) +FLAGS (x)\r\n\0Sa OK x\r\n\0", IMAP_TRACK_STICKY, 0, false,
     true},
    {"Ca SEARCH {6+}\r\nmodseq 5\r\n\0Sa OK x\r\n\0", IMAP_TRACK_STICKY, 0, false, true},
    {"Ca SEARCH \"modseq\" 5\r\n\0Sa OK x\r\n\0", IMAP_TRACK_STICKY, 0, false, true},
    {"Ca SEARCH SUBJECT modseqs\r\n\0Sa OK x\r\n\0", IMAP_TRACK_CLEAN, 0, false, true},
    {"Ca APPEND x {6+}\r\nmodseq\r\n\0Sa OK x\r\n\0", IMAP_TRACK_CLEAN, 0, false, true},
    {"Ca ID (\"name\" \"x\")\r\n\0S* ID NIL\r\na OK x\r\n\0", IMAP_TRACK_CLEAN, 0, false, true},
    {"Ca ID (\"x-originating-ip\" \"1.2.3.4\")\r\n\0Sa OK x\r\n\0", IMAP_TRACK_STICKY, 0, false,
     true},
    {"Ca ID ({16+}\r\nX-Originating-IP \"1.2.3.4\")\r\n\0Sa OK x\r\n\0", IMAP_TRACK_STICKY, 0,
     false, true},
    {"Ca COMPRESS DEFLATE\r\n\0Sa NO x\r\n\0", IMAP_TRACK_CLEAN, 0, false, true},
    {"Ca COMPRESS DEFLATE\r\n\0Sa OK x\r\n\0", IMAP_TRACK_OPAQUE, 0, false, false},
    {"Ca COMPRESS DEFLATE\r\n\0Sa OK x\r\n\1\2\3\r\n\0C\4\5\6\r\n\0", IMAP_TRACK_OPAQUE, 0, false,
     false},
    {"Ca AUTHENTICATE PLAIN\r\n\0S+ \r\n\0", IMAP_TRACK_OPAQUE, 0, false, false},
    {"Ca LOGOUT\r\n\0S* BYE x\r\na OK x\r\n\0", IMAP_TRACK_BYE, 0, false, true},

    /* no IMAP */
    {"C\r\n\0", IMAP_TRACK_OPAQUE, 0, false, false},
    {"C NOOP\r\n\0", IMAP_TRACK_OPAQUE, 0, false, false},
    {"Ca\r\n\0", IMAP_TRACK_OPAQUE, 0, false, false},
    {"Ca  NOOP\r\n\0", IMAP_TRACK_OPAQUE, 0, false, false},
    {"Ca NOOP\rx\r\n\0", IMAP_TRACK_OPAQUE, 0, false, false},
    {"C+ NOOP\r\n\0", IMAP_TRACK_OPAQUE, 0, false, false},
    {"C012345678901234567890123456789012 NOOP\r\n\0", IMAP_TRACK_OPAQUE, 0, false, false},
    {"C01234567890123456789012345678901 NOOP\r\n\0S01234567890123456789012345678901 OK x\r\n\0",
     IMAP_TRACK_CLEAN, 0, false, true},
    {"SHTTP/1.1 200 OK\r\n\0", IMAP_TRACK_OPAQUE, 0, false, false},
    {"S* OK what {3}\r\n\0", IMAP_TRACK_OPAQUE, 0, false, false},
};

/* In pieces of `size` bytes; what the server is to get goes to `passed`. */
static void say(struct imap_track *track, char who, const char *bytes, size_t len, size_t size)
{
    for (size_t at = 0; at < len; at += size) {
        size_t part = len - at < size ? len - at : size;
        if (who == 'S') {
            imap_track_server(track, bytes + at, part);
        } else {
            struct imap_track_said said = imap_track_client(track, bytes + at, part);
            ck_assert_uint_eq(said.pass, part);
            ck_assert_uint_eq(said.used, part);
            ck_assert(!said.logout);
        }
    }
}

START_TEST(split_anywhere_the_same_state)
{
    static const size_t sizes[] = {1, 2, 3, 5, 7, 11, 19, 1000};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        for (size_t k = 0; k < ARRAY_LEN(sizes); k++) {
            struct imap_track track;
            imap_track_init(&track, SLICE_NONE, &slab);
            for (const char *at = cases[i].steps; *at != '\0'; at += strlen(at) + 1) {
                say(&track, *at, at + 1, strlen(at + 1), sizes[k]);
            }
            unit_expect(imap_track_doubt(&track) == cases[i].doubt &&
                            imap_track_outstanding(&track) == cases[i].outstanding &&
                            imap_track_has_mailbox(&track) == cases[i].mailbox &&
                            imap_track_may_speak(&track) == cases[i].may_speak,
                        "case %zu '%s' by %zu: doubt %d outstanding %u mailbox %d speak %d", i,
                        cases[i].steps, sizes[k], (int)imap_track_doubt(&track),
                        imap_track_outstanding(&track), imap_track_has_mailbox(&track),
                        imap_track_may_speak(&track));
            imap_track_fini(&track);
        }
    }
}
END_TEST

START_TEST(what_the_server_can)
{
    static const struct {
        const char *words;
        bool can;
    } lists[] = {
        {"", false},
        {"IMAP4rev1 IDLE", false},
        {"IMAP4rev1 UNSELECT", true},
        {"unselect IMAP4rev1", true},
        {"IMAP4rev1 XUNSELECT UNSELECTED", false},
        {"IMAP4rev2", true},
    };
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        struct imap_track track;
        imap_track_init(&track, slice_from(lists[i].words), &slab);
        ck_assert_msg(imap_track_can_unselect(&track) == lists[i].can, "%s", lists[i].words);
        imap_track_fini(&track);
    }
}
END_TEST

START_TEST(sixty_four_commands_may_wait_and_no_more)
{
    struct imap_track track;
    char line[32];
    imap_track_init(&track, SLICE_NONE, &slab);
    for (unsigned i = 0; i < IMAP_TRACK_TAGS_MAX; i++) {
        int len = snprintf(line, sizeof(line), "t%u NOOP\r\n", i);
        (void)imap_track_client(&track, line, (size_t)len);
    }
    ck_assert_uint_eq(imap_track_outstanding(&track), IMAP_TRACK_TAGS_MAX);
    ck_assert_uint_eq(slab.objects, 1);
    /* in any order */
    for (unsigned i = 0; i < IMAP_TRACK_TAGS_MAX; i++) {
        int len = snprintf(line, sizeof(line), "t%u OK\r\n", (i * 13 + 5) % IMAP_TRACK_TAGS_MAX);
        imap_track_server(&track, line, (size_t)len);
    }
    ck_assert_int_eq(imap_track_doubt(&track), IMAP_TRACK_CLEAN);
    ck_assert_uint_eq(slab.objects, 0); /* nothing while it is idle */
    for (unsigned i = 0; i < IMAP_TRACK_TAGS_MAX; i++) {
        int len = snprintf(line, sizeof(line), "t%u NOOP\r\n", i);
        (void)imap_track_client(&track, line, (size_t)len);
    }
    struct slice next = SLICE("u NOOP\r\n"); /* waits for an answer */
    struct imap_track_said said = imap_track_client(&track, next.ptr, next.len);
    ck_assert(said.waits && said.pass == 0 && said.used == 0);
    ck_assert(imap_track_is_full(&track));
    ck_assert_int_eq(imap_track_doubt(&track), IMAP_TRACK_OUTSTANDING);
    imap_track_server(&track, "t7 OK\r\n", 7);
    ck_assert(!imap_track_is_full(&track));
    said = imap_track_client(&track, next.ptr, next.len);
    ck_assert(!said.waits && said.pass == next.len);
    imap_track_fini(&track);
}
END_TEST

/* Where the server has UNAUTHENTICATE: what cannot be followed does not get to it. */
START_TEST(who_could_leave_its_user_unseen_is_lost)
{
    static const struct {
        const char *client;
        size_t pass;
        const char *server;
        bool may_speak;
    } ends[] = {
        {"\r\n", 0, "", true},
        {"a NOOP\r\n* NOOP\r\n", 8, "", true},
        {"a STATUS {1}\r\nx (MESSAGES)\r\n", 14, "", true},
        {"a IDLE\r\nDONE\r\nb IDLE\r\n", 21, "", true},
        {"a NOOP\r\n", 8, "b OK x\r\n", true},
        {"a NOOP\r\n", 8, "+ x\r\n", true},
        {"a NOOP\r\n", 8, "b OK x\r\n* 1 EXI", false},
        {"a NOOP\r\n", 8, "HTTP/1.1 200 OK\r\n", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        struct imap_track track;
        imap_track_init(&track, SLICE("IMAP4rev1 UNAUTHENTICATE"), &slab);
        struct imap_track_said said =
            imap_track_client(&track, ends[i].client, strlen(ends[i].client));
        unit_expect(said.pass == ends[i].pass, "%zu: %zu", i, said.pass);
        imap_track_server(&track, ends[i].server, strlen(ends[i].server));
        unit_expect(imap_track_is_lost(&track), "%zu", i);
        unit_expect(imap_track_may_speak(&track) == ends[i].may_speak, "%zu", i);
        ck_assert_int_ge(imap_track_doubt(&track), IMAP_TRACK_STICKY);
        said = imap_track_client(&track, "x", 1);
        unit_expect(said.leaves_user && said.pass == 0, "%zu", i);
        imap_track_fini(&track);
    }
    struct imap_track track; /* it may compress */
    imap_track_init(&track, SLICE("IMAP4rev1 UNAUTHENTICATE"), &slab);
    (void)imap_track_client(&track, "a COMPRESS DEFLATE\r\n", 20);
    imap_track_server(&track, "a OK x\r\n", 8);
    ck_assert(!imap_track_is_lost(&track));
    ck_assert_int_eq(imap_track_doubt(&track), IMAP_TRACK_OPAQUE);
    imap_track_fini(&track);
}
END_TEST

/* -- LOGOUT -- */

static const struct {
    const char *bytes;
    size_t pass; /* of all of them */
    const char *tag;
    bool sticky;
} logouts[] = {
    {"a LOGOUT\r\n", 0, "a", false},
    {"a logout\n", 0, "a", false},
    {"a NOOP\r\nA.2 LOGOUT\r\nb NOOP\r\n", 8, "A.2", false},
    {"a LOGOUTX\r\n", 11, NULL, true},
    {"a LOGOUT x\r\n", 12, NULL, false},
    {"a LOGOUT\rx", 10, NULL, false},
    {"a APPEND x {12+}\r\n\r\nb LOGOUT\r\n\r\nc LOGOUT\r\n", 32, "c", false},
    {"a NOOP \"\r\nb LOGOUT\r\n", 20, NULL, false}, /* opaque */
    {"a XYZZY\r\nb LOGOUT\r\n", 19, NULL, true},    /* the server may as well end it */
    {"a IDLE\r\nDONE\r\nb LOGOUT\r\n", 14, "b", false},
};

START_TEST(logout_is_kept_from_the_server)
{
    for (size_t i = 0; i < ARRAY_LEN(logouts); i++) {
        const char *bytes = logouts[i].bytes;
        size_t len = strlen(bytes);
        for (size_t size = 1; size <= len; size++) {
            struct imap_track track;
            char kept[IMAP_TRACK_HELD_MAX + 64];
            char passed[128];
            char tag[64] = "";
            size_t kept_len = 0;
            size_t passed_len = 0;
            bool logout = false;
            imap_track_init(&track, SLICE_NONE, &slab);
            track.holds_logout = true;
            for (size_t at = 0; at < len && !logout; at += size) {
                size_t part = len - at < size ? len - at : size;
                memcpy(kept + kept_len, bytes + at, part);
                kept_len += part;
                struct imap_track_said said = imap_track_client(&track, kept, kept_len);
                memcpy(passed + passed_len, kept, said.pass);
                passed_len += said.pass;
                if (said.logout) {
                    logout = true;
                    memcpy(tag, said.tag.ptr, said.tag.len);
                } else {
                    ck_assert_uint_eq(said.used, said.pass);
                }
                kept_len -= said.used;
                memmove(kept, kept + said.used, kept_len);
                if (!logout) {
                    ck_assert_uint_le(kept_len, IMAP_TRACK_HELD_MAX);
                }
            }
            unit_expect(logout == (logouts[i].tag != NULL) && passed_len == logouts[i].pass &&
                            memcmp(passed, bytes, passed_len) == 0 &&
                            (!logout || strcmp(tag, logouts[i].tag) == 0),
                        "case %zu by %zu: %d after %zu", i, size, logout, passed_len);
            ck_assert_int_eq(imap_track_doubt(&track) == IMAP_TRACK_STICKY, logouts[i].sticky);
            imap_track_fini(&track);
        }
    }
}
END_TEST

static const struct {
    const char *bytes;
    bool unselect; /* before the first command */
    size_t held;   /* at the end */
} inherited[] = {
    {"a SELECT x\r\n", false, 0},
    {"a examine x\r\n", false, 0},
    {"a NOOP\r\n", true, 8},
    {"a SELECTED\r\n", true, 12},
    {"a SELEC\r\n", true, 9},
    {"a\r\n", true, 3},
    {"a SEL", false, 5},
    {"abc", false, 3},
    {"a EXAMINEX y\r\n", true, 14},
};

START_TEST(unauthenticate_does_not_reach_the_server)
{
    static const char *const texts[] = {"a NOOP\r\nb UNAUTHENTICATE\r\nc LOGIN otto x\r\n",
                                        "a NOOP\r\nb unauthenticate\nc LOGIN otto x\n",
                                        "a NOOP\r\nb UnAuthenticate x\r\n"};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        size_t len = strlen(texts[i]);
        size_t want =
            (size_t)(strcasestr(texts[i], "unauth") - texts[i]) + strlen("UNAUTHENTICATE");
        for (size_t size = 1; size <= len; size++) {
            struct imap_track track;
            struct imap_track_said said = {.pass = 0};
            size_t passed = 0;
            imap_track_init(&track, SLICE_NONE, &slab);
            for (size_t at = 0; at < len && !said.leaves_user; at += size) {
                said = imap_track_client(&track, texts[i] + at, len - at < size ? len - at : size);
                passed += said.pass;
            }
            unit_expect(said.leaves_user && passed == want, "case %zu by %zu: %zu, not %zu", i,
                        size, passed, want);
            ck_assert_int_eq(imap_track_doubt(&track), IMAP_TRACK_STICKY);
            ck_assert(imap_track_may_speak(&track));
            imap_track_fini(&track);
        }
    }
}
END_TEST

START_TEST(a_mailbox_of_another_session_is_left)
{
    for (size_t i = 0; i < ARRAY_LEN(inherited); i++) {
        size_t len = strlen(inherited[i].bytes);
        for (size_t size = 1; size <= len; size++) {
            struct imap_track track;
            char kept[64];
            size_t kept_len = 0;
            bool unselect = false;
            imap_track_init(&track, SLICE_NONE, &slab);
            imap_track_inherit(&track);
            ck_assert(imap_track_has_mailbox(&track));
            for (size_t at = 0; at < len; at += size) {
                size_t part = len - at < size ? len - at : size;
                memcpy(kept + kept_len, inherited[i].bytes + at, part);
                kept_len += part;
                struct imap_track_said said = imap_track_client(&track, kept, kept_len);
                unselect = unselect || said.unselect;
                ck_assert_uint_eq(said.pass, said.used);
                kept_len -= said.used;
                memmove(kept, kept + said.used, kept_len);
            }
            unit_expect(unselect == inherited[i].unselect && kept_len == inherited[i].held,
                        "case %zu by %zu: %d, %zu held", i, size, unselect, kept_len);
            if (unselect) {
                imap_track_leave(&track);
                ck_assert(!imap_track_has_mailbox(&track));
                ck_assert_uint_eq(imap_track_client(&track, kept, kept_len).pass, kept_len);
            }
            imap_track_fini(&track);
        }
    }
}
END_TEST

START_TEST(logout_needs_no_unselect)
{
    struct imap_track track;
    imap_track_init(&track, SLICE_NONE, &slab);
    imap_track_inherit(&track);
    track.holds_logout = true;
    struct imap_track_said said = imap_track_client(&track, "a LOGOUT\r\n", 10);
    ck_assert(said.logout && !said.unselect);
    ck_assert_int_eq(imap_track_doubt(&track), IMAP_TRACK_CLEAN);
    ck_assert(imap_track_has_mailbox(&track));
    imap_track_fini(&track);
}
END_TEST

START_TEST(selects_are_news)
{
    struct imap_track track;
    imap_track_init(&track, SLICE_NONE, &slab);
    say(&track, 'C', "a SELECT x\r\n", 12, 100);
    ck_assert_uint_eq(imap_track_news(&track), IMAP_TRACK_SELECT_SENT);
    ck_assert_uint_eq(imap_track_news(&track), 0);
    say(&track, 'S', "* 1 EXISTS\r\na OK x\r\n", 20, 100);
    ck_assert_uint_eq(imap_track_news(&track), IMAP_TRACK_SELECT_DONE);
    imap_track_fini(&track);
}
END_TEST

START_TEST(goodbye_is_what_a_server_says)
{
    struct buf out;
    buf_init(&out, 256);
    imap_track_goodbye(SLICE("a7"), &out);
    ck_assert_str_eq(out.data, "* BYE Logging out\r\na7 OK Logout completed.\r\n");
    buf_fini(&out);
}
END_TEST

static void add_all(TCase *tcase)
{
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, split_anywhere_the_same_state);
    tcase_add_test(tcase, what_the_server_can);
    tcase_add_test(tcase, sixty_four_commands_may_wait_and_no_more);
    tcase_add_test(tcase, who_could_leave_its_user_unseen_is_lost);
    tcase_add_test(tcase, logout_is_kept_from_the_server);
    tcase_add_test(tcase, unauthenticate_does_not_reach_the_server);
    tcase_add_test(tcase, a_mailbox_of_another_session_is_left);
    tcase_add_test(tcase, logout_needs_no_unselect);
    tcase_add_test(tcase, selects_are_news);
    tcase_add_test(tcase, goodbye_is_what_a_server_says);
}

UNIT_MAIN("imap_track", add_all)
