#include "ctl/screen.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

enum { KEYS_MAX = 64, USUAL_WIDTH = 80, USUAL_HEIGHT = 24 };

/* alternate screen, no cursor; and back */
static const char enter_bytes[] = "\033[?1049h\033[?25l\033[2J\033[H";
static const char leave_bytes[] = "\033[0m\033[?25h\033[?1049l";

static const int endings[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGABRT, SIGSEGV, SIGBUS};

static struct termios before;
static volatile sig_atomic_t is_open;
static volatile sig_atomic_t was_resized;
static char pending[KEYS_MAX]; /* bytes of keys that were not looked at yet */
static size_t pending_len;

static void put(const char *bytes, size_t len)
{
    while (len != 0) {
        ssize_t wrote = write(STDOUT_FILENO, bytes, len);
        if (wrote < 0 && errno == EINTR) {
            continue;
        }
        if (wrote <= 0) {
            return;
        }
        bytes += wrote;
        len -= (size_t)wrote;
    }
}

/* Only calls that a signal's handler may make. */
static void leave(void)
{
    if (is_open != 0) {
        is_open = 0;
        put(leave_bytes, sizeof(leave_bytes) - 1);
        (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
    }
}

static void enter(void)
{
    struct termios raw = before;
    raw.c_iflag &= ~(tcflag_t)(ICRNL | INLCR | IXON);
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO | IEXTEN); /* Ctrl-C and Ctrl-Z stay signals */
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &raw);
    put(enter_bytes, sizeof(enter_bytes) - 1);
    is_open = 1;
}

static void on_ending(int number)
{
    leave();
    (void)signal(number, SIG_DFL);
    (void)raise(number);
}

static void on_resize(int number)
{
    (void)number;
    was_resized = 1;
}

/* Ctrl-Z: the shell gets its terminal back, and we ours when we go on. */
static void on_stop(int number)
{
    int error = errno;
    (void)number;
    if (is_open != 0) {
        leave();
        (void)raise(SIGSTOP);
        enter();
        was_resized = 1;
    }
    errno = error;
}

static void on_exit_leave(void)
{
    leave();
}

static void handle_signals(void)
{
    struct sigaction action = {.sa_handler = on_ending};
    for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
        (void)sigaction(endings[i], &action, NULL);
    }
    action.sa_handler = on_resize; /* without SA_RESTART: a wait for keys ends */
    (void)sigaction(SIGWINCH, &action, NULL);
    action.sa_handler = on_stop;
    (void)sigaction(SIGTSTP, &action, NULL);
}

static void forget_signals(void)
{
    for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
        (void)signal(endings[i], SIG_DFL);
    }
    (void)signal(SIGWINCH, SIG_DFL);
    (void)signal(SIGTSTP, SIG_DFL);
}

bool screen_open(struct err *err)
{
    static bool will_leave;
    if (isatty(STDOUT_FILENO) != 1 || tcgetattr(STDIN_FILENO, &before) != 0) {
        return err_set(err, ERR_INVALID, "this needs a terminal");
    }
    if (!will_leave) {
        will_leave = atexit(on_exit_leave) == 0;
    }
    handle_signals();
    pending_len = 0;
    enter();
    return true;
}

void screen_close(void)
{
    leave();
    forget_signals();
}

void screen_size(uint32_t *width, uint32_t *height)
{
    struct winsize size = {.ws_col = 0};
    bool ok = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0;
    *width = ok && size.ws_col != 0 ? size.ws_col : USUAL_WIDTH;
    *height = ok && size.ws_row != 0 ? size.ws_row : USUAL_HEIGHT;
}

void screen_write(struct slice bytes)
{
    put(bytes.ptr, bytes.len);
}

/* -- keys -- */

static const struct {
    const char *bytes; /* behind ESC */
    enum screen_key key;
} sequences[] = {
    {"[A", SCREEN_UP},       {"[B", SCREEN_DOWN},       {"OA", SCREEN_UP},   {"OB", SCREEN_DOWN},
    {"[5~", SCREEN_PAGE_UP}, {"[6~", SCREEN_PAGE_DOWN}, {"[H", SCREEN_HOME}, {"[F", SCREEN_END},
    {"[1~", SCREEN_HOME},    {"[4~", SCREEN_END},       {"OH", SCREEN_HOME}, {"OF", SCREEN_END},
};

/* Bytes of an escape sequence that we do not know: "[" parameters and one letter, or one byte. */
static size_t unknown_length(struct slice rest)
{
    size_t len = 1;
    if (rest.len == 0 || (rest.ptr[0] != '[' && rest.ptr[0] != 'O')) {
        return rest.len < 1 ? rest.len : 1;
    }
    while (len < rest.len && rest.ptr[len] >= ' ' && rest.ptr[len] < '@') {
        len++;
    }
    return len < rest.len ? len + 1 : len;
}

static struct screen_input decode_escape(struct slice rest, size_t *used)
{
    if (rest.len == 0) {
        return (struct screen_input){.key = SCREEN_ESCAPE};
    }
    for (size_t i = 0; i < sizeof(sequences) / sizeof(sequences[0]); i++) {
        struct slice bytes = slice_from(sequences[i].bytes);
        if (slice_starts(rest, bytes)) {
            *used += bytes.len;
            return (struct screen_input){.key = sequences[i].key};
        }
    }
    *used += unknown_length(rest);
    return (struct screen_input){.key = SCREEN_NOTHING};
}

struct screen_input screen_decode(struct slice bytes, size_t *used)
{
    char byte = bytes.ptr[0];
    *used = 1;
    switch (byte) {
    case '\033':
        return decode_escape(slice_from_at(bytes, 1), used);
    case '\r':
    case '\n':
        return (struct screen_input){.key = SCREEN_ENTER};
    case '\t':
        return (struct screen_input){.key = SCREEN_TAB};
    case '\b':
    case 0x7f:
        return (struct screen_input){.key = SCREEN_BACKSPACE};
    case 0x04: /* Ctrl-D */
        return (struct screen_input){.key = SCREEN_GONE};
    default:
        break;
    }
    if (byte >= ' ' && byte < 0x7f) {
        return (struct screen_input){.key = SCREEN_LETTER, .letter = byte};
    }
    return (struct screen_input){.key = SCREEN_NOTHING}; /* names are ASCII */
}

static struct screen_input take_pending(void)
{
    size_t used = 0;
    struct screen_input input = screen_decode(slice_of(pending, pending_len), &used);
    pending_len -= used;
    memmove(pending, pending + used, pending_len);
    return input;
}

struct screen_input screen_read(uint32_t wait_ms)
{
    const struct screen_input nothing = {.key = SCREEN_NOTHING};
    if (pending_len != 0) {
        return take_pending();
    }
    if (was_resized != 0) {
        was_resized = 0;
        return nothing;
    }
    struct pollfd watch = {.fd = STDIN_FILENO, .events = POLLIN};
    int got = poll(&watch, 1, (int)wait_ms);
    if (got <= 0) { /* the time is up, or a signal came */
        was_resized = 0;
        return nothing;
    }
    ssize_t len = read(STDIN_FILENO, pending, sizeof(pending));
    if (len < 0 && (errno == EINTR || errno == EAGAIN)) {
        return nothing;
    }
    if (len <= 0) {
        return (struct screen_input){.key = SCREEN_GONE};
    }
    pending_len = (size_t)len;
    return take_pending();
}
