/* imap_track - see imap_track.h. */
#include "lbd/mail/imap_track.h"

#include <assert.h>
#include <string.h>

#include "lbd/base/compiler.h"
#include "lbd/mail/imap_peek.h"
#include "lbd/mail/imap_verb.h"
#include "lbd/mail/mail_line.h"

_Static_assert(sizeof(struct imap_track) <= 40, "a session that is looked at stays small");

#define LITERAL_DIGITS_MAX 15U

enum {
    FLAG_OPAQUE = 1,
    FLAG_STICKY = 2,
    FLAG_BYE = 4,
    FLAG_MAILBOX = 8,
    FLAG_IDLE_ASKED = 16,
    FLAG_INHERITED = 32,
    FLAG_LEAVES_USER = 64,
    FLAG_LOST = 128
};

/* Where the client is in what it says. */
enum {
    AT_START, /* of a command */
    IN_TAG,
    IN_NAME,     /* of the command */
    IN_SUB_NAME, /* of what UID does */
    IN_ARGS,
    IN_QUOTED,
    AFTER_ESCAPE, /* a backslash in it */
    IN_BRACE,     /* digits of a literal */
    AFTER_PLUS,   /* of "{5+" */
    AFTER_BRACE,  /* the line must end */
    AFTER_CR,     /* likewise */
    WAITS,        /* for the "+" that lets a literal come */
    IN_LITERAL,
    AT_DONE, /* IDLE: only DONE may come */
    IN_DONE,
};

/* -- life -- */

void imap_track_init(struct imap_track *track, struct slice capabilities, struct slab *slab)
{
    memset(track, 0, sizeof(*track));
    track->slab = slab;
    /* RFC 3691; part of IMAP4rev2 (RFC 9051 6.4.2) */
    if (mail_word_in(capabilities, SLICE("UNSELECT")) ||
        mail_word_in(capabilities, SLICE("IMAP4rev2"))) {
        track->capabilities |= IMAP_TRACK_HAS_UNSELECT;
    }
    if (mail_word_in(capabilities, SLICE("UNAUTHENTICATE"))) { /* RFC 8437 */
        track->capabilities |= IMAP_TRACK_HAS_UNAUTHENTICATE;
    }
}

static void give_work(struct imap_track *track)
{
    if (track->work != NULL) {
        slab_give(track->slab, track->work);
        track->work = NULL;
    }
}

void imap_track_fini(struct imap_track *track)
{
    give_work(track);
}

static void make_opaque(struct imap_track *track)
{
    track->flags |= FLAG_OPAQUE;
    track->outstanding = 0;
}

static bool is_opaque(const struct imap_track *track)
{
    return (track->flags & FLAG_OPAQUE) != 0;
}

/* It cannot be followed. Where the client could leave its user behind our back, it is over; the
 * server still is where it was, and a BYE finds its place. */
static void lose(struct imap_track *track)
{
    if ((track->capabilities & IMAP_TRACK_HAS_UNAUTHENTICATE) != 0) {
        track->flags |= FLAG_STICKY | FLAG_LOST;
    } else {
        make_opaque(track);
    }
}

/* Likewise, and where the server is in what it says is not known either. */
static void lose_both(struct imap_track *track)
{
    lose(track);
    make_opaque(track);
}

/* -- commands without an answer -- */

static uint64_t *tag_at(struct imap_track *track, uint32_t index)
{
    return index < IMAP_TRACK_TAGS_HERE ? &track->tags[index]
                                        : &track->work->tags[index - IMAP_TRACK_TAGS_HERE];
}

static void add_tag(struct imap_track *track)
{
    uint64_t mark = track->work->tag_hash & ~UINT64_C(0xFF);
    assert(!imap_track_is_full(track)); /* follow_client lets none begin */
    for (uint32_t i = 0; i < track->outstanding; i++) {
        if ((*tag_at(track, i) & ~UINT64_C(0xFF)) == mark) {
            track->flags |= FLAG_STICKY; /* whose answer is whose? */
        }
    }
    track->outstanding++;
    *tag_at(track, track->outstanding - 1U) = mark | track->verb;
}

static void remove_tag(struct imap_track *track, uint32_t index)
{
    for (uint32_t i = index; i + 1U < track->outstanding; i++) {
        *tag_at(track, i) = *tag_at(track, i + 1U);
    }
    track->outstanding--;
}

/* Before bytes are looked at. */
static void begin_work(struct imap_track *track)
{
    if (track->work != NULL || is_opaque(track)) {
        return;
    }
    track->work = slab_take(track->slab);
    if (track->work == NULL) {
        lose_both(track);
        return;
    }
    memset(track->work, 0, sizeof(*track->work));
}

/* After that. */
static void end_work(struct imap_track *track)
{
    bool rests = track->work != NULL && (track->state == AT_START || track->state == AT_DONE) &&
                 track->outstanding <= IMAP_TRACK_TAGS_HERE &&
                 imap_lines_is_between(&track->work->lines);
    if (rests || is_opaque(track)) {
        give_work(track);
    }
}

/* FNV-1a, 64 bits; what it decides concerns the one who chooses the tags, and nobody else. */
#define TAG_HASH_BEGIN UINT64_C(0xcbf29ce484222325)
static uint64_t tag_hash_add(uint64_t hash, char c)
{
    return (hash ^ (unsigned char)c) * UINT64_C(0x100000001b3);
}

/* -- the client -- */

static char upper(char c)
{
    return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

static bool is_letter(char c)
{
    return c >= 'A' && c <= 'Z';
}

/* One letter more of the word that is read; what does not fit is no word that we know. */
static void name_add(struct imap_track *track, char c)
{
    if (track->work->name_len < sizeof(track->work->name)) {
        track->work->name[track->work->name_len] = c;
    }
    if (track->work->name_len <= sizeof(track->work->name)) {
        track->work->name_len++;
    }
}

static struct slice name_of(const struct imap_track *track)
{
    return track->work->name_len <= sizeof(track->work->name)
               ? slice_of(track->work->name, track->work->name_len)
               : SLICE_NONE;
}

/* The command's name is whole. */
static void decide_verb(struct imap_track *track)
{
    bool is_sub = track->state == IN_SUB_NAME;
    track->verb = (uint8_t)imap_verb_find(name_of(track), is_sub);
    if (track->verb == IMAP_VERB_UNKNOWN || track->verb == IMAP_VERB_UNAUTHENTICATE) {
        track->flags |= FLAG_STICKY;
        if (track->verb == IMAP_VERB_UNAUTHENTICATE) {
            track->flags |= FLAG_LEAVES_USER;
        }
    } else if (track->verb == IMAP_VERB_SELECT) {
        track->news |= IMAP_TRACK_SELECT_SENT;
    }
    track->work->name_len = 0;
    add_tag(track);
}

/* A run of letters in the arguments ended. */
static void end_word(struct imap_track *track, char behind)
{
    struct slice name = name_of(track);
    track->work->name_len = 0;
    if (name.len == 1 && track->verb == IMAP_VERB_ID && name.ptr[0] == 'X' && behind == '-') {
        track->flags |= FLAG_STICKY; /* x-originating-ip and its like */
        return;
    }
    if (imap_verb_is_enabling(name)) {
        track->flags |= FLAG_STICKY;
    }
}

static void look_for_words(struct imap_track *track, char c)
{
    c = upper(c);
    if (is_letter(c)) {
        name_add(track, c);
    } else if (track->work->name_len > 0) {
        end_word(track, c);
    }
}

static void begin_literal(struct imap_track *track)
{
    track->work->before = '\0';
    track->work->literal_left = track->work->literal;
    track->state = track->work->literal > 0 ? IN_LITERAL : IN_ARGS;
}

static void end_client_line(struct imap_track *track)
{
    bool has_literal = track->work->literal_digits > 0;
    track->work->literal_digits = 0;
    if (track->work->name_len > 0) {
        end_word(track, '\n');
    }
    if (has_literal && track->work->literal_waits) {
        track->state = WAITS;
    } else if (has_literal) {
        begin_literal(track);
    } else if (track->verb == IMAP_VERB_IDLE) {
        if ((track->flags & FLAG_IDLE_ASKED) != 0) {
            lose(track); /* which of the two will be answered by the next "+"? */
        }
        track->flags |= FLAG_IDLE_ASKED;
        track->state = AT_DONE;
    } else {
        track->state = AT_START;
    }
}

/* False: that is no IMAP. */
static bool in_args(struct imap_track *track, char c)
{
    char before = track->work->before;
    look_for_words(track, c);
    track->work->before = c;
    switch (c) {
    case '\0':
        return false;
    case '"':
        track->state = IN_QUOTED;
        return true;
    case '{':
        track->work->literal = 0;
        track->work->literal_digits = 0;
        track->work->literal_waits = true;
        track->state = IN_BRACE;
        return before == ' ' || before == '(' || before == '~';
    case '\r':
        track->state = AFTER_CR;
        return true;
    case '\n':
        end_client_line(track);
        return true;
    default:
        return true;
    }
}

static bool in_brace(struct imap_track *track, char c)
{
    if (c >= '0' && c <= '9' && track->work->literal_digits < LITERAL_DIGITS_MAX) {
        track->work->literal = track->work->literal * 10 + (uint64_t)(c - '0');
        track->work->literal_digits++;
        return true;
    }
    if (c == '+') {
        track->work->literal_waits = false; /* RFC 7888 */
        track->state = AFTER_PLUS;
    } else {
        track->state = AFTER_BRACE;
    }
    return track->work->literal_digits > 0 && (c == '+' || c == '}');
}

static bool in_tag(struct imap_track *track, char c)
{
    if (c == ' ') {
        track->work->name_len = 0;
        track->state = IN_NAME;
        return true;
    }
    track->work->tag_hash = tag_hash_add(track->work->tag_hash, c);
    return imap_lines_is_tag_char(c) && ++track->work->tag_len <= IMAP_LINES_TAG_MAX;
}

static bool in_name(struct imap_track *track, char c)
{
    if (c != ' ' && c != '\r' && c != '\n') {
        name_add(track, upper(c));
        return c > ' ' && c < 0x7F;
    }
    if (track->work->name_len == 0) {
        return false;
    }
    if (track->state == IN_NAME && c == ' ' && slice_eq(name_of(track), SLICE("UID"))) {
        track->work->name_len = 0;
        track->state = IN_SUB_NAME;
        return true;
    }
    decide_verb(track);
    track->state = IN_ARGS;
    return in_args(track, c);
}

static bool in_done(struct imap_track *track, char c)
{
    static const struct slice done = SLICE_INIT("DONE");
    if (track->work->name_len < done.len) {
        return upper(c) == done.ptr[track->work->name_len++];
    }
    if (c == '\r' && track->work->name_len == done.len) {
        track->work->name_len++;
        return true;
    }
    track->work->name_len = 0;
    track->verb = IMAP_VERB_UNKNOWN;
    track->state = AT_START;
    return c == '\n';
}

/* False: that is no IMAP. */
static bool client_byte(struct imap_track *track, char c)
{
    switch (track->state) {
    case AT_START:
        track->work->tag_hash = TAG_HASH_BEGIN;
        track->work->tag_len = 0;
        track->state = IN_TAG;
        return in_tag(track, c) && track->state == IN_TAG;
    case IN_TAG:
        return in_tag(track, c);
    case IN_NAME:
    case IN_SUB_NAME:
        return in_name(track, c);
    case IN_ARGS:
        return in_args(track, c);
    case IN_QUOTED:
        look_for_words(track, c);
        if (c == '\\') {
            track->state = AFTER_ESCAPE;
        } else if (c == '"') {
            track->state = IN_ARGS;
        }
        return c != '\0' && c != '\r' && c != '\n';
    case AFTER_ESCAPE:
        look_for_words(track, c);
        track->state = IN_QUOTED;
        return c != '\0' && c != '\r' && c != '\n';
    case IN_BRACE:
        return in_brace(track, c);
    case AFTER_PLUS:
        track->state = AFTER_BRACE;
        return c == '}';
    case AFTER_BRACE:
        if (c == '\r') {
            track->state = AFTER_CR;
            return true;
        }
        end_client_line(track);
        return c == '\n';
    case AFTER_CR:
        end_client_line(track);
        return c == '\n';
    case AT_DONE:
        track->work->name_len = 0;
        track->state = IN_DONE;
        return in_done(track, c);
    case IN_DONE:
        return in_done(track, c);
    default: /* WAITS: the server may still refuse, and then these would be commands */
        return false;
    }
}

/* -- what is kept back, and what is put before -- */

void imap_track_inherit(struct imap_track *track)
{
    track->flags |= FLAG_INHERITED | FLAG_MAILBOX;
}

void imap_track_leave(struct imap_track *track)
{
    track->flags &= (uint8_t) ~(FLAG_INHERITED | FLAG_MAILBOX);
}

static bool may_hold(const struct imap_track *track)
{
    return track->holds_logout && (track->flags & (FLAG_OPAQUE | FLAG_STICKY | FLAG_BYE)) == 0;
}

/* How many bytes of a literal lie here. */
static size_t in_literal(struct imap_track *track, const char *bytes, size_t len)
{
    size_t part = track->work->literal_left < len ? (size_t)track->work->literal_left : len;
    if (track->verb != IMAP_VERB_APPEND) { /* a message, where nothing can be asked for */
        for (size_t i = 0; i < part; i++) {
            look_for_words(track, bytes[i]);
        }
    }
    track->work->literal_left -= part;
    if (track->work->literal_left == 0) {
        if (track->work->name_len > 0) {
            end_word(track, '\n');
        }
        track->state = IN_ARGS;
    }
    return part;
}

/* How far it is followed: to the end, to a LOGOUT or an UNAUTHENTICATE, to where it must wait. */
static struct imap_track_said follow_client(struct imap_track *track, const char *bytes, size_t len)
{
    size_t at = 0;
    if (imap_track_is_lost(track)) {
        return (struct imap_track_said){.leaves_user = true};
    }
    while (at < len && !is_opaque(track)) {
        if (track->state == AT_START && imap_track_is_full(track)) {
            return (struct imap_track_said){.pass = at, .used = at, .waits = true};
        }
        if (track->state == AT_START && may_hold(track)) {
            size_t tag_len = 0;
            size_t line_len = 0;
            switch (imap_peek_logout(bytes + at, len - at, &tag_len, &line_len)) {
            case IMAP_PEEK_OTHER:
                break;
            case IMAP_PEEK_CUT:
                return (struct imap_track_said){.pass = at, .used = at};
            case IMAP_PEEK_SO:
                return (struct imap_track_said){.pass = at,
                                                .used = at + line_len,
                                                .logout = true,
                                                .tag = slice_of(bytes + at, tag_len)};
            }
        }
        if (track->state == AT_START && (track->flags & FLAG_INHERITED) != 0) {
            enum imap_peek verdict = imap_peek_select(bytes + at, len - at);
            if (verdict == IMAP_PEEK_CUT) {
                return (struct imap_track_said){.pass = at, .used = at};
            }
            if (verdict == IMAP_PEEK_OTHER) {
                return (struct imap_track_said){.pass = at, .used = at, .unselect = true};
            }
            track->flags &= (uint8_t)~FLAG_INHERITED;
        }
        if (track->state == IN_LITERAL) {
            at += in_literal(track, bytes + at, len - at);
        } else if (!client_byte(track, bytes[at++])) {
            lose(track);
        }
        if ((track->flags & (FLAG_LEAVES_USER | FLAG_LOST)) != 0) { /* known by this byte */
            return (struct imap_track_said){.pass = at - 1, .used = at, .leaves_user = true};
        }
    }
    return (struct imap_track_said){.pass = len, .used = len};
}

struct imap_track_said imap_track_client(struct imap_track *track, const char *bytes, size_t len)
{
    begin_work(track);
    struct imap_track_said said = follow_client(track, bytes, len);
    end_work(track);
    return said;
}

/* -- the server -- */

static void on_answer(struct imap_track *track, enum imap_verb verb, bool is_newest,
                      enum imap_lines_word word)
{
    switch (verb) {
    case IMAP_VERB_SELECT:
        track->news |= IMAP_TRACK_SELECT_DONE;
        if (word == IMAP_LINES_OK) {
            track->flags |= FLAG_MAILBOX;
        } else if (word == IMAP_LINES_NO) {
            track->flags &= (uint8_t)~FLAG_MAILBOX; /* RFC 9051 6.3.2 */
        }
        break;
    case IMAP_VERB_LEAVE:
        if (word == IMAP_LINES_OK) {
            track->flags &= (uint8_t)~FLAG_MAILBOX;
        }
        break;
    case IMAP_VERB_IDLE:
        if (is_newest && track->state == AT_DONE) {
            track->state = AT_START; /* it was refused: no DONE will come */
            track->flags &= (uint8_t)~FLAG_IDLE_ASKED;
        } else if (is_newest && track->state == IN_DONE) {
            lose(track);
        } else if (is_newest || track->state == AT_START) {
            track->flags &= (uint8_t)~FLAG_IDLE_ASKED;
        }
        break;
    case IMAP_VERB_COMPRESS:
        if (word == IMAP_LINES_OK) {
            make_opaque(track);
        }
        break;
    default:
        break;
    }
}

static void on_tagged(struct imap_track *track, const struct imap_lines_response *response)
{
    uint64_t hash = TAG_HASH_BEGIN;
    for (size_t i = 0; i < response->tag.len; i++) {
        hash = tag_hash_add(hash, response->tag.ptr[i]);
    }
    for (uint32_t i = 0; i < track->outstanding; i++) {
        uint64_t mark = *tag_at(track, i);
        if (((mark ^ hash) & ~UINT64_C(0xFF)) == 0) {
            bool is_newest = i + 1U == track->outstanding;
            if (is_newest && track->state == WAITS) {
                track->state = AT_START; /* the literal is not wanted */
            }
            remove_tag(track, i);
            on_answer(track, (enum imap_verb)(mark & 0xFFU), is_newest, response->word);
            return;
        }
    }
    lose(track);
}

/* "+": for an IDLE or a literal. */
static void on_continue(struct imap_track *track)
{
    if ((track->flags & FLAG_IDLE_ASKED) != 0) {
        track->flags &= (uint8_t)~FLAG_IDLE_ASKED;
    } else if (track->state == WAITS) {
        begin_literal(track);
    } else {
        lose(track);
    }
}

static void follow_server(struct imap_track *track, const char *bytes, size_t len)
{
    size_t at = 0;
    while (at < len && !is_opaque(track)) {
        struct imap_lines_response response;
        size_t used = 0;
        switch (imap_lines_feed(&track->work->lines, bytes + at, len - at, &used, &response)) {
        case IMAP_LINES_MORE:
            return;
        case IMAP_LINES_LOST:
            lose_both(track);
            return;
        case IMAP_LINES_DONE:
            break;
        }
        at += used;
        switch (response.kind) {
        case IMAP_LINES_UNTAGGED:
            if (response.word == IMAP_LINES_BYE) {
                track->flags |= FLAG_BYE;
            }
            break;
        case IMAP_LINES_CONTINUE:
            on_continue(track);
            break;
        case IMAP_LINES_TAGGED:
            on_tagged(track, &response);
            break;
        }
    }
}

void imap_track_server(struct imap_track *track, const char *bytes, size_t len)
{
    begin_work(track);
    follow_server(track, bytes, len);
    end_work(track);
}

uint64_t imap_track_unseen(const struct imap_track *track)
{
    if (is_opaque(track)) {
        return UINT64_MAX;
    }
    return track->work != NULL ? imap_lines_unseen(&track->work->lines) : 0;
}

void imap_track_skip(struct imap_track *track, uint64_t len)
{
    if (track->work != NULL) {
        imap_lines_skip(&track->work->lines, len);
    }
}

static bool is_between(const struct imap_track *track)
{
    return track->work == NULL || imap_lines_is_between(&track->work->lines);
}

/* -- answers -- */

bool imap_track_is_lost(const struct imap_track *track)
{
    return (track->flags & FLAG_LOST) != 0;
}

bool imap_track_may_speak(const struct imap_track *track)
{
    return !is_opaque(track) && is_between(track);
}

enum imap_track_doubt imap_track_doubt(const struct imap_track *track)
{
    if (is_opaque(track)) {
        return IMAP_TRACK_OPAQUE;
    }
    if ((track->flags & FLAG_STICKY) != 0) {
        return IMAP_TRACK_STICKY;
    }
    if ((track->flags & FLAG_BYE) != 0) {
        return IMAP_TRACK_BYE;
    }
    if (track->outstanding > 0 || track->state != AT_START || !is_between(track)) {
        return IMAP_TRACK_OUTSTANDING;
    }
    return IMAP_TRACK_CLEAN;
}

bool imap_track_has_mailbox(const struct imap_track *track)
{
    return (track->flags & FLAG_MAILBOX) != 0;
}

void imap_track_goodbye(struct slice tag, struct buf *out)
{
    mail_line_say(out, "* BYE Logging out");
    buf_append_slice(out, tag);
    mail_line_say(out, " OK Logout completed.");
}
