#include "lbd/base/compiler.h"
#include "lbd/mail/imap_verb.h"
#include "tests/unit/unit.h"

START_TEST(knows_what_a_verb_leaves_behind)
{
    static const struct {
        const char *name;
        bool after_uid;
        enum imap_verb want;
    } cases[] = {
        {"FETCH", false, IMAP_VERB_PLAIN},
        {"FETCH", true, IMAP_VERB_PLAIN},
        {"EXPUNGE", true, IMAP_VERB_PLAIN},
        {"NOOP", false, IMAP_VERB_PLAIN},
        {"NOOP", true, IMAP_VERB_UNKNOWN},
        {"UID", true, IMAP_VERB_UNKNOWN},
        {"LOGOUT", false, IMAP_VERB_PLAIN},
        {"SELECT", false, IMAP_VERB_SELECT},
        {"EXAMINE", false, IMAP_VERB_SELECT},
        {"SELECT", true, IMAP_VERB_UNKNOWN},
        {"CLOSE", false, IMAP_VERB_LEAVE},
        {"UNSELECT", false, IMAP_VERB_LEAVE},
        {"IDLE", false, IMAP_VERB_IDLE},
        {"ID", false, IMAP_VERB_ID},
        {"APPEND", false, IMAP_VERB_APPEND},
        {"COMPRESS", false, IMAP_VERB_COMPRESS},
        {"UNAUTHENTICATE", false, IMAP_VERB_UNAUTHENTICATE},
        /* they last as long as the connection */
        {"ENABLE", false, IMAP_VERB_UNKNOWN},
        {"NOTIFY", false, IMAP_VERB_UNKNOWN},
        {"LANGUAGE", false, IMAP_VERB_UNKNOWN},
        {"XYZZY", false, IMAP_VERB_UNKNOWN},
        {"FETC", false, IMAP_VERB_UNKNOWN},
        {"", false, IMAP_VERB_UNKNOWN},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        enum imap_verb got = imap_verb_find(slice_from(cases[i].name), cases[i].after_uid);
        ck_assert_msg(got == cases[i].want, "%s%s: %d", cases[i].after_uid ? "UID " : "",
                      cases[i].name, got);
    }
}
END_TEST

START_TEST(knows_what_turns_condstore_on)
{
    static const char *const words[] = {"CONDSTORE",    "QRESYNC",        "MODSEQ",
                                        "CHANGEDSINCE", "UNCHANGEDSINCE", "HIGHESTMODSEQ"};
    static const char *const others[] = {"", "FLAGS", "MODSE", "MODSEQS", "UIDVALIDITY"};
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        ck_assert_msg(imap_verb_is_enabling(slice_from(words[i])), "%s", words[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        ck_assert_msg(!imap_verb_is_enabling(slice_from(others[i])), "%s", others[i]);
    }
}
END_TEST

UNIT_TESTS("imap_verb", knows_what_a_verb_leaves_behind, knows_what_turns_condstore_on)
