/*
 * lbctl - looks at lbd and changes it while it runs, through its public API and nothing else.
 *
 * Reads the command line, sees what stdout is, runs one command and ends with its code.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "ctl/command.h"
#include "ctl/completion.h"
#include "ctl/ctl.h"

/* https://no-color.org: any value but the empty one. */
static bool color_is_wanted(void)
{
    const char *no_color = getenv("NO_COLOR");
    const char *term = getenv("TERM");
    return isatty(STDOUT_FILENO) == 1 && (no_color == NULL || no_color[0] == '\0') &&
           term != NULL && strcmp(term, "dumb") != 0;
}

static uint32_t terminal_width(void)
{
    struct winsize size;
    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

/* What was printed must have arrived: a full disk is not success. */
static enum ctl_exit finish(struct ctl *ctl, enum ctl_exit code)
{
    errno = 0;
    bool failed = fflush(ctl->out) != 0 || ferror(ctl->out) != 0;
    if (failed && errno != EPIPE && code == CTL_OK) {
        return errno == 0
                   ? ctl_fail(ctl, CTL_REFUSED, "cannot write the output")
                   : ctl_fail(ctl, CTL_REFUSED, "cannot write the output: %s", strerror(errno));
    }
    return code;
}

int main(int argc, char *argv[])
{
    struct ctl ctl;
    enum ctl_exit code = CTL_OK;
    ctl_init(&ctl);
    (void)signal(SIGPIPE, SIG_IGN);
    if (argc > 1 && strcmp(argv[1], "__complete") == 0) {
        return (int)finish(&ctl, completion_complete(&ctl, argc - 2, argv + 2));
    }
    ctl.color = color_is_wanted();
    ctl.width = terminal_width();
    ctl.is_followed = isatty(STDERR_FILENO) == 1;
    ctl.is_interactive = ctl.is_followed && isatty(STDIN_FILENO) == 1;
    const struct command *command = command_parse(&ctl, argc, argv, &code);
    if (command != NULL) {
        code = command->run(&ctl);
    }
    return (int)finish(&ctl, code);
}
