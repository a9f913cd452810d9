/* imap_verb - see imap_verb.h. */
#include "lbd/mail/imap_verb.h"

#include <stddef.h>
#include <stdint.h>

#include "lbd/base/compiler.h"

struct verb_name {
    struct slice name;
    uint8_t verb;
    bool after_uid;
};

static const struct verb_name verbs[] = {
    {SLICE_INIT("FETCH"), IMAP_VERB_PLAIN, true},
    {SLICE_INIT("STORE"), IMAP_VERB_PLAIN, true},
    {SLICE_INIT("SEARCH"), IMAP_VERB_PLAIN, true},
    {SLICE_INIT("COPY"), IMAP_VERB_PLAIN, true},
    {SLICE_INIT("MOVE"), IMAP_VERB_PLAIN, true},
    {SLICE_INIT("SORT"), IMAP_VERB_PLAIN, true},
    {SLICE_INIT("THREAD"), IMAP_VERB_PLAIN, true},
    {SLICE_INIT("EXPUNGE"), IMAP_VERB_PLAIN, true},
    {SLICE_INIT("UID"), IMAP_VERB_PLAIN, false},
    {SLICE_INIT("SELECT"), IMAP_VERB_SELECT, false},
    {SLICE_INIT("EXAMINE"), IMAP_VERB_SELECT, false},
    {SLICE_INIT("CLOSE"), IMAP_VERB_LEAVE, false},
    {SLICE_INIT("UNSELECT"), IMAP_VERB_LEAVE, false},
    {SLICE_INIT("IDLE"), IMAP_VERB_IDLE, false},
    {SLICE_INIT("NOOP"), IMAP_VERB_PLAIN, false},
    {SLICE_INIT("LOGOUT"), IMAP_VERB_PLAIN, false},
    {SLICE_INIT("CAPABILITY"), IMAP_VERB_PLAIN, false},
    {SLICE_INIT("LIST"), IMAP_VERB_PLAIN, false},
    {SLICE_INIT("LSUB"), IMAP_VERB_PLAIN, false},
    {SLICE_INIT("STATUS"), IMAP_VERB_PLAIN, false},
    {SLICE_INIT("CHECK"), IMAP_VERB_PLAIN, false},
    {SLICE_INIT("APPEND"), IMAP_VERB_APPEND, false},
    {SLICE_INIT("CREATE"), IMAP_VERB_PLAIN, false},
    {SLICE_INIT("DELETE"), IMAP_VERB_PLAIN, false},
    {SLICE_INIT("RENAME"), IMAP_VERB_PLAIN, false},
    {SLICE_INIT("SUBSCRIBE"), IMAP_VERB_PLAIN, false},
    {SLICE_INIT("UNSUBSCRIBE"), IMAP_VERB_PLAIN, false},
    {SLICE_INIT("NAMESPACE"), IMAP_VERB_PLAIN, false},
    {SLICE_INIT("ID"), IMAP_VERB_ID, false},
    {SLICE_INIT("GETQUOTA"), IMAP_VERB_PLAIN, false},
    {SLICE_INIT("GETQUOTAROOT"), IMAP_VERB_PLAIN, false},
    {SLICE_INIT("SETQUOTA"), IMAP_VERB_PLAIN, false},
    {SLICE_INIT("GETACL"), IMAP_VERB_PLAIN, false},
    {SLICE_INIT("SETACL"), IMAP_VERB_PLAIN, false},
    {SLICE_INIT("DELETEACL"), IMAP_VERB_PLAIN, false},
    {SLICE_INIT("LISTRIGHTS"), IMAP_VERB_PLAIN, false},
    {SLICE_INIT("MYRIGHTS"), IMAP_VERB_PLAIN, false},
    {SLICE_INIT("GETMETADATA"), IMAP_VERB_PLAIN, false},
    {SLICE_INIT("SETMETADATA"), IMAP_VERB_PLAIN, false},
    {SLICE_INIT("GENURLAUTH"), IMAP_VERB_PLAIN, false},
    {SLICE_INIT("URLFETCH"), IMAP_VERB_PLAIN, false},
    {SLICE_INIT("COMPRESS"), IMAP_VERB_COMPRESS, false},
    {SLICE_INIT("UNAUTHENTICATE"), IMAP_VERB_UNAUTHENTICATE, false},
};

enum imap_verb imap_verb_find(struct slice name, bool after_uid)
{
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
        if (slice_eq(verbs[i].name, name) && (!after_uid || verbs[i].after_uid)) {
            return (enum imap_verb)verbs[i].verb;
        }
    }
    return IMAP_VERB_UNKNOWN;
}

bool imap_verb_is_enabling(struct slice word)
{
    static const struct slice enabling[] = {
        SLICE_INIT("CONDSTORE"),    SLICE_INIT("QRESYNC"),        SLICE_INIT("MODSEQ"),
        SLICE_INIT("CHANGEDSINCE"), SLICE_INIT("UNCHANGEDSINCE"), SLICE_INIT("HIGHESTMODSEQ"),
    };
    if (word.len < SLICE("MODSEQ").len) {
        return false; /* most words are shorter */
    }
    for (size_t i = 0; i < ARRAY_LEN(enabling); i++) {
        if (slice_eq(word, enabling[i])) {
            return true;
        }
    }
    return false;
}
