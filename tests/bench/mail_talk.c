#include "tests/bench/mail_talk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How an answer ends. */
enum ending {
    GREETING_LINE, /* one line, whatever the script's protocol begins with */
    TAGGED,        /* "a OK" after any other lines */
    PLUS,          /* "+ ..." */
    POP3_LINE,     /* "+OK ..." */
    SMTP_REPLY,    /* "250 ...", after any "250-..." */
    HTTP_ANSWER
};

struct step {
    enum talk_script from; /* scripts that have it */
    enum talk_script to;
    enum talk_part part;
    enum ending ending;
    const char *say; /* %u: the user's number, %s: the mailbox; NULL: nothing */
};

#define GET                                                                                        \
    "GET /b/100 HTTP/1.1\r\nHost: bench.test\r\nUser-Agent: bench\r\nAccept: */*\r\nConnection: keep-alive\r\n\r\n"

static const struct step imap_steps[] = {
    {TALK_SCRIPT_GREETING, TALK_SCRIPT_CLICK, TALK_GREETING, GREETING_LINE, NULL},
    {TALK_SCRIPT_HELD, TALK_SCRIPT_CLICK, TALK_LOGIN, TAGGED, "a LOGIN user%u secret\r\n"},
    {TALK_SCRIPT_HELD, TALK_SCRIPT_CLICK, TALK_SELECT, TAGGED, "a SELECT %s\r\n"},
    {TALK_SCRIPT_IDLE, TALK_SCRIPT_IDLE, TALK_REST, PLUS, "a IDLE\r\n"},
    {TALK_SCRIPT_CLICK, TALK_SCRIPT_CLICK, TALK_REST, TAGGED,
     "a FETCH 1:20 (FLAGS BODY.PEEK[HEADER])\r\n"},
    {TALK_SCRIPT_SESSION, TALK_SCRIPT_CLICK, TALK_REST, TAGGED, "a LOGOUT\r\n"},
    {.ending = TAGGED, .part = TALK_REST, .say = "a NOOP\r\n"},
};
static const struct step pop3_steps[] = {
    {TALK_SCRIPT_GREETING, TALK_SCRIPT_CLICK, TALK_GREETING, GREETING_LINE, NULL},
    {TALK_SCRIPT_HELD, TALK_SCRIPT_CLICK, TALK_REST, POP3_LINE, "USER user%u\r\n"},
    {TALK_SCRIPT_HELD, TALK_SCRIPT_CLICK, TALK_LOGIN, POP3_LINE, "PASS secret\r\n"},
    {TALK_SCRIPT_HELD, TALK_SCRIPT_CLICK, TALK_SELECT, POP3_LINE, "STAT\r\n"},
    {TALK_SCRIPT_SESSION, TALK_SCRIPT_CLICK, TALK_REST, POP3_LINE, "QUIT\r\n"},
    {.ending = POP3_LINE, .part = TALK_REST, .say = "NOOP\r\n"},
};
static const struct step smtp_steps[] = {
    {TALK_SCRIPT_GREETING, TALK_SCRIPT_CLICK, TALK_GREETING, SMTP_REPLY, NULL},
    {TALK_SCRIPT_HELD, TALK_SCRIPT_CLICK, TALK_REST, SMTP_REPLY, "EHLO client.test\r\n"},
    {TALK_SCRIPT_HELD, TALK_SCRIPT_CLICK, TALK_LOGIN, SMTP_REPLY,
     "AUTH PLAIN "}, /* and who, in base64 */
    {TALK_SCRIPT_SESSION, TALK_SCRIPT_CLICK, TALK_REST, SMTP_REPLY, "QUIT\r\n"},
    {.ending = SMTP_REPLY, .part = TALK_REST, .say = "NOOP\r\n"},
};
static const struct step http_steps[] = {
    {TALK_SCRIPT_GREETING, TALK_SCRIPT_CLICK, TALK_GREETING, HTTP_ANSWER, GET},
    {.ending = HTTP_ANSWER, .part = TALK_REST, .say = GET},
};

static const struct {
    const char *word;
    const struct step *steps; /* the last is the command beyond the script */
    size_t count;
} dialects[TALK_DIALECTS] = {
    [TALK_IMAP] = {"imap", imap_steps, sizeof(imap_steps) / sizeof(*imap_steps)},
    [TALK_POP3] = {"pop3", pop3_steps, sizeof(pop3_steps) / sizeof(*pop3_steps)},
    [TALK_SMTP] = {"smtp", smtp_steps, sizeof(smtp_steps) / sizeof(*smtp_steps)},
    [TALK_HTTP] = {"http", http_steps, sizeof(http_steps) / sizeof(*http_steps)},
};
static const char *mailbox = "INBOX";

void mail_talk_mailbox(const char *name)
{
    mailbox = name;
}

bool mail_talk_dialect(const char *word, size_t len, enum talk_dialect *dialect)
{
    for (int i = 0; i < TALK_DIALECTS; i++) {
        if (strlen(dialects[i].word) == len && memcmp(dialects[i].word, word, len) == 0) {
            *dialect = (enum talk_dialect)i;
            return true;
        }
    }
    return false;
}

static const struct step *step_at(const struct mail_talk *talk, size_t at)
{
    return &dialects[talk->dialect].steps[at];
}

static size_t command_at(const struct mail_talk *talk)
{
    return dialects[talk->dialect].count - 1;
}

/* The first step of the script from `at` on. */
static size_t next_step(const struct mail_talk *talk, size_t at)
{
    while (at < command_at(talk) &&
           (talk->script < step_at(talk, at)->from || talk->script > step_at(talk, at)->to)) {
        at++;
    }
    return at;
}

void mail_talk_begin(struct mail_talk *talk, enum talk_dialect dialect, enum talk_script script,
                     uint32_t user)
{
    *talk = (struct mail_talk){.dialect = dialect, .script = script, .user = user};
    reader_reset(&talk->reader);
    talk->step = (uint8_t)next_step(talk, 0);
}

void mail_talk_end(struct mail_talk *talk)
{
    reader_reset(&talk->reader);
}

/* "\0user<N>\0secret" in base64. */
static size_t proof_make(char *out, size_t room, uint32_t user)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    unsigned char raw[64];
    size_t len = (size_t)snprintf((char *)raw, sizeof(raw), "%cuser%u%csecret", 0, user, 0);
    size_t at = 0;
    for (size_t i = 0; i < len && at + 6 < room; i += 3) {
        unsigned b = i + 1 < len ? raw[i + 1] : 0;
        unsigned c = i + 2 < len ? raw[i + 2] : 0;
        out[at++] = letters[raw[i] >> 2];
        out[at++] = letters[(raw[i] & 3U) << 4 | b >> 4];
        out[at++] = i + 1 < len ? letters[(b & 15U) << 2 | c >> 6] : '=';
        out[at++] = i + 2 < len ? letters[c & 63U] : '=';
    }
    memcpy(out + at, "\r\n", 2);
    return at + 2;
}

static size_t question_make(const struct mail_talk *talk, const struct step *step, char *question)
{
    if (step->say == NULL) {
        return 0;
    }
    const char *percent = strchr(step->say, '%');
    if (percent == NULL) {
        size_t len = strlen(step->say);
        memcpy(question, step->say, len);
        if (step->part == TALK_LOGIN && talk->dialect == TALK_SMTP) {
            len += proof_make(question + len, TALK_QUESTION_MAX - len, talk->user);
        }
        return len;
    }
    int before = (int)(percent - step->say);
    int len = percent[1] == 'u' ? snprintf(question, TALK_QUESTION_MAX, "%.*s%u%s", before,
                                           step->say, talk->user, percent + 2)
                                : snprintf(question, TALK_QUESTION_MAX, "%.*s%s%s", before,
                                           step->say, mailbox, percent + 2);
    return (size_t)len;
}

bool mail_talk_ask(struct mail_talk *talk, char *question, size_t *len)
{
    if (talk->step == command_at(talk)) {
        return false;
    }
    *len = question_make(talk, step_at(talk, talk->step), question);
    return true;
}

void mail_talk_command(struct mail_talk *talk, char *question, size_t *len)
{
    talk->step = (uint8_t)command_at(talk);
    talk->commands = true;
    *len = question_make(talk, step_at(talk, talk->step), question);
}

static bool begins(const struct mail_talk *talk, const char *word)
{
    size_t len = strlen(word);
    return talk->line_len >= len && memcmp(talk->line, word, len) == 0;
}

/* A whole line lies in talk->line. */
static enum talk_result judge(struct mail_talk *talk, enum ending ending)
{
    switch (ending) {
    case GREETING_LINE:
        return begins(talk, "* OK") || begins(talk, "+OK") ? TALK_ANSWERED : TALK_BAD;
    case TAGGED:
    case PLUS:
        if (ending == PLUS && begins(talk, "+")) {
            return TALK_ANSWERED;
        }
        if (begins(talk, "a ")) {
            return begins(talk, "a OK") && ending == TAGGED ? TALK_ANSWERED : TALK_BAD;
        }
        return begins(talk, "*") || begins(talk, ")") || begins(talk, " ") ? TALK_MORE : TALK_BAD;
    case POP3_LINE:
        return begins(talk, "+OK") ? TALK_ANSWERED : TALK_BAD;
    case SMTP_REPLY:
        if (!begins(talk, "2") || talk->line_len < 4) {
            return TALK_BAD;
        }
        return talk->line[3] == '-' ? TALK_MORE : TALK_ANSWERED;
    case HTTP_ANSWER:
        break;
    }
    return TALK_BAD;
}

static enum talk_result answered(struct mail_talk *talk, const struct step *step,
                                 enum talk_part *part)
{
    *part = step->part;
    if (talk->commands) {
        talk->commands = false;
    } else {
        talk->step = (uint8_t)next_step(talk, talk->step + 1U);
    }
    return TALK_ANSWERED;
}

static void line_add(struct mail_talk *talk, char byte)
{
    if (talk->line_len == TALK_LINE_MAX) {
        /* what is in the middle of a long line is of no interest */
        memmove(talk->line + TALK_LINE_ENDS, talk->line + TALK_LINE_MAX - TALK_LINE_ENDS,
                TALK_LINE_ENDS);
        talk->line_len = 2 * TALK_LINE_ENDS;
    }
    talk->line[talk->line_len++] = byte;
}

/* The literal that follows the line, if one does. */
static uint64_t literal_after(const struct mail_talk *talk)
{
    if (talk->dialect != TALK_IMAP || talk->line_len < 3 || talk->line[talk->line_len - 1] != '}') {
        return 0;
    }
    const char *open = memrchr(talk->line, '{', talk->line_len);
    return open == NULL ? 0 : strtoull(open + 1, NULL, 10);
}

enum talk_result mail_talk_feed(struct mail_talk *talk, const char *bytes, size_t len,
                                enum talk_part *part)
{
    const struct step *step = step_at(talk, talk->step);
    if (step->ending == HTTP_ANSWER) {
        (void)reader_feed(&talk->reader, bytes, len);
        if (talk->reader.state == READER_BAD ||
            (talk->reader.state == READER_DONE && talk->reader.status != 200)) {
            return TALK_BAD;
        }
        if (talk->reader.state != READER_DONE) {
            return TALK_MORE;
        }
        reader_reset(&talk->reader);
        return answered(talk, step, part);
    }
    for (size_t i = 0; i < len; i++) {
        if (talk->literal > 0) {
            uint64_t skipped = len - i < talk->literal ? len - i : talk->literal;
            talk->literal -= skipped;
            i += (size_t)skipped - 1;
            continue;
        }
        if (bytes[i] != '\n') {
            line_add(talk, bytes[i]);
            continue;
        }
        if (talk->line_len > 0 && talk->line[talk->line_len - 1] == '\r') {
            talk->line_len--;
        }
        talk->literal = literal_after(talk);
        enum talk_result result = judge(talk, step->ending);
        talk->line_len = 0;
        if (result == TALK_ANSWERED) {
            /* a client that asks one thing at a time is told one thing at a time */
            return i + 1 == len ? answered(talk, step, part) : TALK_BAD;
        }
        if (result == TALK_BAD) {
            return TALK_BAD;
        }
    }
    return TALK_MORE;
}
