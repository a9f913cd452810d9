#include "lbd/upstream/interview.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lbd/base/mem.h"
#include "lbd/upstream/talk.h"

enum { IN_MAX = 4096, HOST_MAX = 262 };

enum step { LISTEN, ASK, SHAKE, ASK_BEHIND_PROXY };

struct interview {
    struct loop *loop;
    struct talk talk;
    struct loop_timer timer;
    struct loop_ready ready; /* the next connection begins when talk's callback is over */
    enum step step;
    struct addr address;
    enum proxy_header_version proxy;
    struct tls_client *tls; /* referenced */
    char *tls_name;         /* owned */
    const char *word;       /* static */
    enum interview_found expected;
    enum interview_found found; /* so far */
    char host[HOST_MAX];
    interview_fn *fn;
    void *arg;
};

/* -- what it says -- */

static bool has(struct slice said, const char *text)
{
    return memmem(said.ptr, said.len, text, strlen(text)) != NULL;
}

/* SETTINGS, the first frame of a server (RFC 9113 3.4): type 4, stream 0. */
static bool is_http2(struct slice said)
{
    static const char stream_0[4] = {0};
    return said.len >= 9 && said.ptr[0] == 0 && said.ptr[3] == 4 &&
           memcmp(said.ptr + 5, stream_0, sizeof(stream_0)) == 0;
}

enum interview_found interview_look(struct slice said)
{
    if (said.len == 0) {
        return INTERVIEW_NOTHING;
    }
    if (slice_starts(said, SLICE("HTTP/"))) {
        /* servers that are kind to who forgets the s */
        bool wants_tls = has(said, " 400 ") && (has(said, "HTTPS") || has(said, "https"));
        return wants_tls ? INTERVIEW_TLS : INTERVIEW_HTTP1;
    }
    if (said.len >= 3 && (said.ptr[0] == 0x15 || said.ptr[0] == 0x16) && said.ptr[1] == 3) {
        return INTERVIEW_TLS; /* a record of TLS: an alert, a handshake */
    }
    if (slice_starts(said, SLICE("220 ")) || slice_starts(said, SLICE("220-")) ||
        slice_starts(said, SLICE("554 "))) {
        return has(said, "SMTP") || has(said, "Postfix") ? INTERVIEW_SMTP : INTERVIEW_OTHER;
    }
    if (slice_starts(said, SLICE("* OK")) || slice_starts(said, SLICE("* BYE")) ||
        slice_starts(said, SLICE("* PREAUTH"))) {
        return INTERVIEW_IMAP;
    }
    if (slice_starts(said, SLICE("+OK"))) {
        return INTERVIEW_POP3;
    }
    if (slice_starts(said, SLICE("SSH-"))) {
        return INTERVIEW_SSH;
    }
    return is_http2(said) ? INTERVIEW_HTTP2 : INTERVIEW_OTHER;
}

static const char *words_of(enum interview_found found)
{
    switch (found) {
    case INTERVIEW_NOTHING:
        return "says nothing";
    case INTERVIEW_CLOSES:
        return "closes the connection without a word";
    case INTERVIEW_HTTP1:
        return "answers plain HTTP";
    case INTERVIEW_HTTP2:
        return "answers plain HTTP/2";
    case INTERVIEW_TLS:
        return "answers TLS";
    case INTERVIEW_SMTP:
        return "answers with a banner of SMTP";
    case INTERVIEW_IMAP:
        return "answers with a banner of IMAP";
    case INTERVIEW_POP3:
        return "answers with a banner of POP3";
    case INTERVIEW_SSH:
        return "answers with a banner of SSH";
    case INTERVIEW_PROXY:
        return "answers HTTP only behind a PROXY header (send_proxy)";
    case INTERVIEW_OTHER:
        return "answers something that is neither HTTP, TLS nor mail";
    }
    return "";
}

/* -- the course -- */

static void begin(struct interview *self, enum step step);

static void end(struct interview *self, const char *detail)
{
    char text[INTERVIEW_TEXT_MAX] = "";
    if (self->found != self->expected && self->found != INTERVIEW_NOTHING) {
        (void)snprintf(text, sizeof(text), "configured %s, %s%s", self->word, words_of(self->found),
                       detail);
    }
    interview_fn *fn = self->fn;
    void *arg = self->arg;
    interview_cancel(self);
    fn(text, arg);
}

static void on_ready(struct loop_ready *ready)
{
    struct interview *self = container_of(ready, struct interview, ready);
    begin(self, self->step);
}

/* On another connection. Returns false, as talk's callbacks do. */
static bool go_on(struct interview *self, enum step step)
{
    loop_timer_stop(&self->timer);
    talk_end(&self->talk);
    self->step = step;
    loop_ready_put(self->loop, &self->ready, on_ready);
    return false;
}

/* A connection is over, and this is what it showed. Returns false. */
static bool conclude(struct interview *self, enum interview_found found, bool is_400)
{
    bool may_be_tls = found == INTERVIEW_TLS || found == INTERVIEW_CLOSES;
    bool asks_http = self->expected == INTERVIEW_HTTP1 && self->proxy == PROXY_HEADER_NONE;
    switch (self->step) {
    case LISTEN:
        if (found == INTERVIEW_CLOSES && asks_http) {
            self->found = found;
            return go_on(self, ASK_BEHIND_PROXY);
        }
        break;
    case ASK:
        self->found = found;
        if (may_be_tls) {
            return go_on(self, SHAKE);
        }
        if (is_400 && asks_http) {
            return go_on(self, ASK_BEHIND_PROXY);
        }
        break;
    case SHAKE: /* it failed */
        if (self->found == INTERVIEW_CLOSES && asks_http) {
            return go_on(self, ASK_BEHIND_PROXY);
        }
        found = self->found;
        break;
    case ASK_BEHIND_PROXY:
        found = found == INTERVIEW_HTTP1 && !is_400 ? INTERVIEW_PROXY : self->found;
        break;
    }
    self->found = found;
    end(self, "");
    return false;
}

static void say(struct interview *self)
{
    (void)buf_printf(&self->talk.out,
                     "OPTIONS * HTTP/1.1\r\nHost: %s\r\nUser-Agent: lbd-health-check\r\n"
                     "Connection: close\r\n\r\n",
                     self->host);
}

static struct interview *of(struct talk *talk)
{
    return container_of(talk, struct interview, talk);
}

static bool on_connected(struct talk *talk)
{
    struct interview *self = of(talk);
    if (self->step == SHAKE) {
        char detail[32];
        (void)snprintf(detail, sizeof(detail), " (%s)", tls_session_version(talk->tls));
        self->found = INTERVIEW_TLS;
        end(self, detail);
        return false;
    }
    if (self->step == ASK_BEHIND_PROXY) {
        say(self);
    }
    return true;
}

/* A line is there, or all of it. */
static bool on_received(struct talk *talk, bool ended)
{
    struct interview *self = of(talk);
    struct slice said = buf_slice(&talk->in);
    if (self->step == SHAKE) {
        return true;
    }
    if (said.len == 0 && ended) {
        return conclude(self, INTERVIEW_CLOSES, false);
    }
    bool is_http = slice_starts(said, SLICE("HTTP/"));
    bool is_enough = ended || said.len >= IN_MAX / 2 ||
                     (is_http ? has(said, "\r\n\r\n") : said.len >= 9 || has(said, "\n"));
    /* of HTTP the body may say what it misses */
    if (!is_enough || (is_http && !ended && has(said, " 400 "))) {
        return true;
    }
    return conclude(self, interview_look(said), is_http && has(said, " 400 "));
}

static void on_failed(struct talk *talk, bool is_ours, const char *why)
{
    struct interview *self = of(talk);
    (void)is_ours;
    (void)why;
    bool was_open = talk_is_open(talk) || self->step == SHAKE;
    (void)conclude(self, was_open ? INTERVIEW_CLOSES : INTERVIEW_NOTHING, false);
}

static const struct talk_ops ops = {
    .connected = on_connected, .received = on_received, .failed = on_failed};

static void on_time(struct loop_timer *timer)
{
    struct interview *self = container_of(timer, struct interview, timer);
    struct slice said = buf_slice(&self->talk.in);
    if (self->step == LISTEN && talk_is_open(&self->talk) && said.len == 0) {
        self->step = ASK; /* on the same connection: it waits for us */
        say(self);
        loop_timer_set(self->loop, &self->timer, INTERVIEW_STEP_MS, on_time);
        (void)talk_send(&self->talk);
        return;
    }
    (void)conclude(self, interview_look(said), said.len != 0 && has(said, " 400 "));
}

static void begin(struct interview *self, enum step step)
{
    struct talk_way way = {.address = &self->address, .proxy = self->proxy};
    self->step = step;
    if (step == SHAKE) {
        way.tls = self->tls;
        way.tls_name = self->tls_name;
    } else if (step == ASK_BEHIND_PROXY) {
        way.proxy = PROXY_HEADER_V1;
    }
    loop_timer_set(self->loop, &self->timer,
                   step == LISTEN ? INTERVIEW_LISTEN_MS : INTERVIEW_STEP_MS, on_time);
    talk_begin(&self->talk, self->loop, &ops, &way, IN_MAX);
}

struct interview *interview_start(struct loop *loop, const struct interview_server *server,
                                  interview_fn *fn, void *arg)
{
    struct interview *self = mem_zero(1, sizeof(*self));
    self->loop = loop;
    self->address = *server->address;
    self->proxy = server->proxy;
    self->tls = tls_client_ref(server->tls);
    self->tls_name = mem_strdup(server->tls_name);
    self->word = server->word;
    self->expected = server->expected;
    (void)snprintf(self->host, sizeof(self->host), "%.*s", SLICE_ARG(server->host));
    self->fn = fn;
    self->arg = arg;
    begin(self, LISTEN);
    return self;
}

void interview_cancel(struct interview *interview)
{
    if (interview == NULL) {
        return;
    }
    loop_timer_stop(&interview->timer);
    loop_ready_remove(&interview->ready);
    talk_end(&interview->talk);
    tls_client_unref(interview->tls);
    free(interview->tls_name);
    free(interview);
}
