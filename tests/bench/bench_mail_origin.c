/*
 * bench_mail_origin - the mail server behind every proxy of the benchmark, and who tells nginx
 * where it is: lean, so that it is never what is measured.
 *
 *     bench_mail_origin
 *
 * One thread, epoll. Four ports of 127.0.0.1, printed on one line in this order:
 *
 *     imap    IMAP4rev1: CAPABILITY, ID, LOGIN, AUTHENTICATE PLAIN, SELECT, FETCH, IDLE, NOOP,
 * LOGOUT, ... pop3    USER, PASS, AUTH PLAIN, CAPA, STAT, NOOP, XCLIENT, QUIT smtp    EHLO, AUTH
 * PLAIN, MAIL, RCPT, XCLIENT, NOOP, QUIT auth    the answer of nginx's auth_http: any user may come
 * in, at the port of its protocol
 *
 * Everybody is let in with any password. SELECT of the mailbox "split" is answered in two segments,
 * SPLIT_US apart: what a server does that looks something up in between.
 *
 * Limits: a line of at most 8 KiB that arrives whole or is kept; 19,000 connections; small answers
 * only, which a socket always takes. Threads: the main thread.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    LINE_MAX_BYTES = 8192,
    OUT_MAX = 16384,
    TAG_MAX = 40,
    VERB_MAX = 20,
    EVENTS_MAX = 512,
    FD_MAX = 20000,
    SPLITS_MAX = 64,
    SPLIT_US = 3000,
    MAIL_BYTES = 2048
};

enum dialect { IMAP, POP3, SMTP, AUTH, DIALECTS };

struct peer {
    bool open;
    bool listener;
    bool idles;       /* IMAP: until DONE */
    bool shows_proof; /* the next line belongs to AUTH */
    enum dialect dialect;
    uint32_t literal;  /* bytes of a literal to come */
    char tag[TAG_MAX]; /* of the command that goes on behind a literal; "": none does */
    char verb[VERB_MAX];
    bool wants_split;
    char *kept; /* owned: the part of a line that has arrived, or NULL */
    uint32_t kept_len;
};

struct split {
    int fd;
    uint64_t due_us;
    char tag[TAG_MAX];
};

static const char capabilities[] =
    "IMAP4rev1 SASL-IR LITERAL+ ID ENABLE IDLE NAMESPACE UNSELECT UIDPLUS AUTH=PLAIN";
static const char selected[] =
    "* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)\r\n"
    "* OK [PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft \\*)] Limited\r\n"
    "* 172 EXISTS\r\n* 1 RECENT\r\n* OK [UNSEEN 12] first unseen\r\n";
static const char selected_rest[] =
    "* OK [UIDVALIDITY 3857529045] valid\r\n* OK [UIDNEXT 4392] next\r\n";

static struct peer peers[FD_MAX];
static struct split splits[SPLITS_MAX];
static size_t splits_len;
static uint16_t ports[DIALECTS];
static int epoll_fd;
static volatile sig_atomic_t stopping;

/* What goes out together. */
static char out[OUT_MAX];
static size_t out_len;

static void on_signal(int signal_number)
{
    (void)signal_number;
    stopping = 1;
}

static void die(const char *what)
{
    perror(what);
    exit(EXIT_FAILURE);
}

static uint64_t now_us(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int len = vsnprintf(out + out_len, sizeof(out) - out_len, format, args);
    va_end(args);
    if (len > 0 && (size_t)len < sizeof(out) - out_len) {
        out_len += (size_t)len;
    }
}

static void peer_close(int fd)
{
    free(peers[fd].kept);
    peers[fd] = (struct peer){0};
    (void)close(fd);
}

static bool flush(int fd)
{
    size_t len = out_len;
    out_len = 0;
    return len == 0 || send(fd, out, len, MSG_NOSIGNAL) == (ssize_t)len;
}

/* --- IMAP ------------------------------------------------------------------------------------- */

static void imap_end(int fd)
{
    struct peer *peer = &peers[fd];
    static char mail[MAIL_BYTES + 1];
    if (mail[0] == '\0') {
        memset(mail, 'x', MAIL_BYTES);
    }
    if (strcasecmp(peer->verb, "LOGIN") == 0 || strcasecmp(peer->verb, "AUTHENTICATE") == 0) {
        say("%s OK [CAPABILITY %s] Logged in\r\n", peer->tag, capabilities);
    } else if (strcasecmp(peer->verb, "CAPABILITY") == 0) {
        say("* CAPABILITY %s\r\n%s OK done\r\n", capabilities, peer->tag);
    } else if (strcasecmp(peer->verb, "ID") == 0) {
        say("* ID NIL\r\n%s OK done\r\n", peer->tag);
    } else if (strcasecmp(peer->verb, "SELECT") == 0 || strcasecmp(peer->verb, "EXAMINE") == 0) {
        say("%s", selected);
        if (peer->wants_split && splits_len < SPLITS_MAX) {
            struct split *split = &splits[splits_len++];
            split->fd = fd;
            split->due_us = now_us() + SPLIT_US;
            memcpy(split->tag, peer->tag, TAG_MAX);
        } else {
            say("%s%s OK [READ-WRITE] Select completed\r\n", selected_rest, peer->tag);
        }
    } else if (strcasecmp(peer->verb, "FETCH") == 0) {
        say("* 1 FETCH (FLAGS (\\Seen) BODY[] {%d}\r\n%s)\r\n%s OK done\r\n", MAIL_BYTES, mail,
            peer->tag);
    } else if (strcasecmp(peer->verb, "IDLE") == 0) {
        peer->idles = true;
        say("+ idling\r\n");
        return; /* the tag is for DONE */
    } else if (strcasecmp(peer->verb, "LOGOUT") == 0) {
        say("* BYE out\r\n%s OK done\r\n", peer->tag);
    } else {
        say("%s OK done\r\n", peer->tag);
    }
    if (strcasecmp(peer->verb, "LOGOUT") != 0) {
        peer->tag[0] = '\0';
    }
}

/* The size of the literal a line ends with; -1: it ends with none. */
static long literal_size(const char *line, size_t len, bool *waits)
{
    const char *open = memrchr(line, '{', len);
    if (open == NULL || line[len - 1] != '}') {
        return -1;
    }
    *waits = line[len - 2] != '+';
    return strtol(open + 1, NULL, 10);
}

/* False: the connection ends. */
static bool imap_line(int fd, const char *line, size_t len)
{
    struct peer *peer = &peers[fd];
    if (peer->idles) {
        peer->idles = false;
        say("%s OK done\r\n", peer->tag);
        peer->tag[0] = '\0';
        return true;
    }
    if (peer->shows_proof) {
        peer->shows_proof = false;
        imap_end(fd);
        return true;
    }
    if (peer->tag[0] == '\0') {
        char argument[12] = "";
        int words = sscanf(line, "%39s %19s %11s", peer->tag, peer->verb, argument);
        if (words >= 2 && strcasecmp(peer->verb, "UID") == 0) {
            (void)snprintf(peer->verb, sizeof(peer->verb), "%s", argument);
        }
        peer->wants_split = strstr(line, "split") != NULL;
        if (words < 2) {
            return false;
        }
        const char *mechanism =
            strcasecmp(peer->verb, "AUTHENTICATE") == 0 ? strcasestr(line, " PLAIN") : NULL;
        if (mechanism != NULL && mechanism[6] == '\0') {
            peer->shows_proof = true;
            say("+ \r\n");
            return true;
        }
    }
    bool waits = false;
    long literal = literal_size(line, len, &waits);
    if (literal >= 0) {
        peer->literal = (uint32_t)literal;
        if (waits) {
            say("+ OK\r\n");
        }
        return true;
    }
    imap_end(fd);
    return strcasecmp(peer->verb, "LOGOUT") != 0;
}

/* --- the others ------------------------------------------------------------------------------- */

static bool begins(const char *line, const char *word)
{
    return strncasecmp(line, word, strlen(word)) == 0;
}

static bool pop3_line(int fd, const char *line, size_t len)
{
    struct peer *peer = &peers[fd];
    (void)len;
    if (begins(line, "CAPA")) {
        say("+OK\r\nCAPA\r\nTOP\r\nUIDL\r\nPIPELINING\r\nUSER\r\nSASL PLAIN\r\n.\r\n");
    } else if (strcasecmp(line, "AUTH PLAIN") == 0) {
        peer->shows_proof = true;
        say("+ \r\n");
    } else if (begins(line, "STAT")) {
        say("+OK 1 %d\r\n", MAIL_BYTES);
    } else {
        say("+OK done\r\n");
    }
    return !begins(line, "QUIT");
}

static bool smtp_line(int fd, const char *line, size_t len)
{
    struct peer *peer = &peers[fd];
    (void)len;
    if (peer->shows_proof || begins(line, "AUTH PLAIN ")) {
        peer->shows_proof = false;
        say("235 2.7.0 in\r\n");
    } else if (begins(line, "EHLO")) {
        say("250-origin\r\n250-PIPELINING\r\n250-SIZE 10240000\r\n250-AUTH PLAIN LOGIN\r\n"
            "250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n250-XCLIENT NAME ADDR PORT PROTO HELO LOGIN\r\n250 DSN\r\n");
    } else if (begins(line, "AUTH PLAIN")) {
        peer->shows_proof = true;
        say("334 \r\n");
    } else if (begins(line, "XCLIENT")) {
        say("220 origin ESMTP\r\n");
    } else if (begins(line, "QUIT")) {
        say("221 2.0.0 bye\r\n");
        return false;
    } else {
        say("250 2.0.0 done\r\n");
    }
    return true;
}

/* A line of an HTTP request; the empty one ends it. */
static bool auth_line(int fd, const char *line, size_t len)
{
    struct peer *peer = &peers[fd];
    if (begins(line, "Auth-Protocol: ")) {
        peer->verb[0] = line[15];
    }
    if (len > 0) {
        return true;
    }
    enum dialect wanted = peer->verb[0] == 'p' ? POP3 : peer->verb[0] == 's' ? SMTP : IMAP;
    say("HTTP/1.0 200 OK\r\nAuth-Status: OK\r\nAuth-Server: 127.0.0.1\r\nAuth-Port: %u\r\n\r\n",
        ports[wanted]);
    return false;
}

static void greet(enum dialect dialect)
{
    switch (dialect) {
    case IMAP:
        say("* OK [CAPABILITY %s] ready\r\n", capabilities);
        return;
    case POP3:
        say("+OK ready\r\n");
        return;
    case SMTP:
        say("220 origin ESMTP\r\n");
        return;
    case AUTH:
    case DIALECTS:
        return;
    }
}

/* --- connections ------------------------------------------------------------------------------ */

static bool take_line(int fd, char *line, size_t len)
{
    line[len] = '\0';
    switch (peers[fd].dialect) {
    case IMAP:
        return imap_line(fd, line, len);
    case POP3:
        return pop3_line(fd, line, len);
    case SMTP:
        return smtp_line(fd, line, len);
    case AUTH:
        return auth_line(fd, line, len);
    case DIALECTS:
        break;
    }
    return false;
}

static void peer_read(int fd)
{
    static char in[LINE_MAX_BYTES * 2];
    struct peer *peer = &peers[fd];
    size_t len = peer->kept_len;
    if (len > 0) {
        memcpy(in, peer->kept, len);
        free(peer->kept);
        peer->kept = NULL;
        peer->kept_len = 0;
    }
    ssize_t got = recv(fd, in + len, sizeof(in) - len, 0);
    if (got <= 0 && !(got < 0 && errno == EAGAIN)) {
        peer_close(fd);
        return;
    }
    len += got > 0 ? (size_t)got : 0;
    size_t at = 0;
    while (at < len) {
        if (peer->literal > 0) {
            size_t skipped = len - at < peer->literal ? len - at : peer->literal;
            peer->literal -= (uint32_t)skipped;
            at += skipped;
            continue;
        }
        char *end = memchr(in + at, '\n', len - at);
        if (end == NULL) {
            break;
        }
        size_t line_len = (size_t)(end - (in + at));
        char *line = in + at;
        at += line_len + 1;
        if (line_len > 0 && line[line_len - 1] == '\r') {
            line_len--;
        }
        if (!take_line(fd, line, line_len)) {
            (void)flush(fd);
            peer_close(fd);
            return;
        }
    }
    if (!flush(fd) || len - at >= LINE_MAX_BYTES) {
        peer_close(fd);
        return;
    }
    if (at < len) {
        peer->kept = malloc(len - at);
        if (peer->kept == NULL) {
            die("malloc");
        }
        memcpy(peer->kept, in + at, len - at);
        peer->kept_len = (uint32_t)(len - at);
    }
}

static void accept_all(int listener)
{
    for (int i = 0; i < 64; i++) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            return;
        }
        if (fd >= FD_MAX - 16) {
            (void)close(fd);
            return;
        }
        int on = 1;
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        peers[fd] = (struct peer){.open = true, .dialect = peers[listener].dialect};
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
        if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) {
            die("epoll_ctl");
        }
        greet(peers[fd].dialect);
        if (!flush(fd)) {
            peer_close(fd);
        }
    }
}

static void listen_on(enum dialect dialect)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, len) != 0 || listen(fd, 16384) != 0 ||
        getsockname(fd, (struct sockaddr *)&at, &len) != 0) {
        die("listen");
    }
    ports[dialect] = ntohs(at.sin_port);
    peers[fd] = (struct peer){.open = true, .listener = true, .dialect = dialect};
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) {
        die("epoll_ctl");
    }
}

/* Sends the second halves that are due; how long until the next, in ms, -1: none waits. */
static int splits_run(void)
{
    uint64_t now = now_us();
    int wait_ms = -1;
    for (size_t i = 0; i < splits_len;) {
        struct split *split = &splits[i];
        if (split->due_us > now) {
            int left = (int)((split->due_us - now) / 1000) + 1;
            wait_ms = wait_ms < 0 || left < wait_ms ? left : wait_ms;
            i++;
            continue;
        }
        say("%s%s OK [READ-WRITE] Select completed\r\n", selected_rest, split->tag);
        if (peers[split->fd].open) {
            (void)flush(split->fd);
        }
        out_len = 0;
        splits[i] = splits[--splits_len];
    }
    return wait_ms;
}

int main(void)
{
    struct rlimit files = {.rlim_cur = FD_MAX, .rlim_max = FD_MAX};
    (void)setrlimit(RLIMIT_NOFILE, &files);
    struct sigaction action = {.sa_handler = on_signal};
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGINT, &action, NULL);

    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_fd < 0) {
        die("epoll_create1");
    }
    for (enum dialect dialect = IMAP; dialect < DIALECTS; dialect++) {
        listen_on(dialect);
        printf("%u%c", ports[dialect], dialect + 1 < DIALECTS ? ' ' : '\n');
    }
    (void)fflush(stdout);

    static struct epoll_event events[EVENTS_MAX];
    while (!stopping) {
        int wait_ms = splits_run();
        int count = epoll_wait(epoll_fd, events, EVENTS_MAX, wait_ms < 0 ? 1000 : wait_ms);
        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd;
            if (!peers[fd].open) {
                continue;
            }
            if (peers[fd].listener) {
                accept_all(fd);
            } else {
                peer_read(fd);
            }
        }
    }
    return EXIT_SUCCESS;
}
