/* smtp_guard - see smtp_guard.h. */
#include "lbd/mail/smtp_guard.h"

#include <string.h>

#include "lbd/base/compiler.h"
#include "lbd/base/num.h"

enum mode { COMMANDS, MESSAGE, CHUNK };
/* A line of a message: nothing of it, a dot, a dot and blanks, or one that ends no message. */
enum dot { LINE_BEGINS, IS_DOT, IS_DOT_AND_BLANKS, IS_TEXT };

void smtp_guard_init(struct smtp_guard *guard, bool has_chunking, uint32_t unanswered)
{
    memset(guard, 0, sizeof(*guard));
    guard->has_chunking = has_chunking;
    guard->unanswered = unanswered;
}

static bool is_blank(char c)
{
    return (unsigned char)c <= ' ';
}

static bool is_word(const struct smtp_guard *guard, struct slice word)
{
    return slice_eq_nocase(slice_of(guard->line, guard->word_len), word);
}

static bool is_forbidden(const struct smtp_guard *guard)
{
    return is_word(guard, SLICE("XCLIENT")) || is_word(guard, SLICE("XFORWARD")) ||
           is_word(guard, SLICE("STARTTLS"));
}

const char *smtp_guard_refusal(const struct smtp_guard *guard)
{
    if (is_word(guard, SLICE("STARTTLS"))) {
        return "521 5.5.1 STARTTLS comes before everything else";
    }
    if (is_word(guard, SLICE("BDAT"))) {
        return "521 5.5.1 This BDAT is not for here";
    }
    return "521 5.7.0 XCLIENT is for trusted clients";
}

static void doubt(struct smtp_guard *guard)
{
    guard->doubts = true;
    guard->waits = false;
    guard->mode = COMMANDS;
}

static void expect_reply(struct smtp_guard *guard)
{
    if (++guard->unanswered == UINT32_MAX) {
        doubt(guard);
    }
}

/* RFC 3030 2. What servers may read in other ways is none: who does not see a length here takes
 * the chunk for commands. */
static bool begin_chunk(struct smtp_guard *guard)
{
    struct slice rest = slice_of(guard->line, guard->line_len);
    struct slice word;
    if (!guard->has_chunking || guard->doubts || guard->line_len == sizeof(guard->line)) {
        return false;
    }
    rest = slice_trim(slice_from_at(rest, guard->word_len));
    size_t end = slice_find(rest, ' ');
    word = slice_of(rest.ptr, end < rest.len ? end : rest.len);
    if (!num_parse_u64(word, &guard->chunk_left)) {
        return false;
    }
    rest = slice_trim(slice_from_at(rest, word.len));
    if (rest.len > 0 && !slice_eq_nocase(rest, SLICE("LAST"))) {
        return false;
    }
    guard->mode = guard->chunk_left > 0 ? CHUNK : COMMANDS;
    return true;
}

/* -- what the client says -- */

static void begin_line(struct smtp_guard *guard, bool ended_well)
{
    guard->line_len = 0;
    guard->word_len = 0;
    guard->dot = LINE_BEGINS;
    guard->begins_well = ended_well;
}

/* False: nobody may say it. */
static bool end_word(struct smtp_guard *guard)
{
    if (guard->word_len > 0) {
        return true;
    }
    guard->word_len = guard->line_len;
    return !is_forbidden(guard);
}

/* False: nobody may say it. */
static bool end_command(struct smtp_guard *guard, bool is_well)
{
    if (!end_word(guard)) {
        return false;
    }
    expect_reply(guard);
    if (is_word(guard, SLICE("DATA"))) {
        guard->waits = !guard->doubts;
    } else if (is_word(guard, SLICE("BDAT")) && !begin_chunk(guard)) {
        return false;
    }
    begin_line(guard, is_well);
    return true;
}

/* Whatever a server may take for the end of a message is one, but only that of RFC 5321 4.1.1.4 is
 * one for all of them. */
static void end_message_line(struct smtp_guard *guard, bool is_well)
{
    if (guard->dot == IS_DOT || guard->dot == IS_DOT_AND_BLANKS) {
        guard->mode = COMMANDS;
        expect_reply(guard);
        if (guard->dot != IS_DOT || !guard->begins_well || !is_well) {
            doubt(guard);
        }
    }
    begin_line(guard, is_well);
}

static bool end_line(struct smtp_guard *guard, bool is_well)
{
    if (guard->mode == MESSAGE) {
        end_message_line(guard, is_well);
        return true;
    }
    return end_command(guard, is_well);
}

static void take_text(struct smtp_guard *guard, char c)
{
    switch ((enum dot)guard->dot) {
    case LINE_BEGINS:
        if (c == '.') {
            guard->dot = IS_DOT;
        } else if (is_blank(c) && c != ' ' && c != '\t') {
            guard->begins_well = false; /* some servers drop it */
        } else {
            guard->dot = IS_TEXT;
        }
        break;
    case IS_DOT:
    case IS_DOT_AND_BLANKS:
        guard->dot = is_blank(c) ? IS_DOT_AND_BLANKS : IS_TEXT;
        break;
    case IS_TEXT:
        break;
    }
}

static bool take_command(struct smtp_guard *guard, char c)
{
    if (c == '\0') { /* a line's end to some */
        doubt(guard);
    }
    if (is_blank(c) && guard->line_len == 0) { /* before the word it counts for nothing */
        return true;
    }
    if (is_blank(c) && !end_word(guard)) {
        return false;
    }
    if (guard->line_len < sizeof(guard->line)) {
        guard->line[guard->line_len++] = c;
    }
    return true;
}

static bool take_byte(struct smtp_guard *guard, char c)
{
    bool is_behind_cr = guard->is_behind_cr;
    guard->is_behind_cr = c == '\r';
    if (is_behind_cr && c != '\n') { /* a line's end to some */
        if (guard->mode == COMMANDS) {
            doubt(guard);
        }
        if (!end_line(guard, false)) {
            return false;
        }
    }
    if (c == '\n') {
        return end_line(guard, is_behind_cr);
    }
    if (c == '\r') {
        return true;
    }
    if (guard->mode == MESSAGE) {
        take_text(guard, c);
        return true;
    }
    return take_command(guard, c);
}

bool smtp_guard_client(struct smtp_guard *guard, struct slice bytes)
{
    while (bytes.len > 0) {
        if (guard->waits) {
            doubt(guard);
        }
        size_t used = 1;
        if (guard->mode == CHUNK) {
            used = guard->chunk_left < bytes.len ? (size_t)guard->chunk_left : bytes.len;
            guard->chunk_left -= used;
            guard->mode = guard->chunk_left > 0 ? CHUNK : COMMANDS;
        } else if (!take_byte(guard, bytes.ptr[0])) {
            return false;
        }
        bytes = slice_from_at(bytes, used);
    }
    return true;
}

/* -- what the server says -- */

static void take_reply(struct smtp_guard *guard, bool is_go_ahead)
{
    bool is_asked = guard->unanswered > 0;
    guard->unanswered -= is_asked ? 1 : 0;
    bool is_last = is_asked && guard->unanswered == 0;
    bool is_half_read = is_last && guard->mode == CHUNK;
    bool begins_message = is_go_ahead && is_last && guard->waits;
    if (!is_asked || is_half_read || (is_go_ahead && !begins_message)) { /* not as we count */
        doubt(guard);
    } else if (is_last) {
        guard->waits = false;
        guard->mode = begins_message ? MESSAGE : guard->mode;
    }
}

void smtp_guard_server(struct smtp_guard *guard, struct slice bytes)
{
    for (size_t i = 0; i < bytes.len; i++) {
        char c = bytes.ptr[i];
        if (c != '\n') {
            if (guard->reply_len < sizeof(guard->reply)) {
                guard->reply[guard->reply_len++] = c;
            }
            continue;
        }
        if (guard->reply_len < sizeof(guard->reply) || guard->reply[3] != '-') {
            take_reply(guard, guard->reply_len >= 3 && memcmp(guard->reply, "354", 3) == 0);
        }
        guard->reply_len = 0;
    }
}
