#include "ctl/pager.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ctl/print_table.h"

enum { NOT_FOUND_STATUS = 127 };

void pager_begin(struct ctl *ctl, struct pager *pager)
{
    *pager = (struct pager){.out = NULL};
    if (ctl->out != stdout || isatty(STDOUT_FILENO) != 1) {
        return;
    }
    FILE *held = open_memstream(&pager->text, &pager->len);
    if (held != NULL) {
        pager->out = ctl->out;
        ctl->out = held;
    }
}

/* Characters of a line as a terminal shows it: what paints takes no room. */
static size_t shown_width(struct slice line)
{
    size_t hidden = 0;
    for (size_t i = 0; i < line.len; i++) {
        if (line.ptr[i] == '\033') {
            size_t start = i;
            while (i < line.len && line.ptr[i] != 'm') {
                i++;
            }
            hidden += i + 1 - start;
        }
    }
    size_t width = print_width(line);
    return width > hidden ? width - hidden : 0;
}

size_t pager_count_lines(struct slice text, size_t width)
{
    size_t count = 0;
    struct slice line;
    if (slice_ends(text, SLICE("\n"))) {
        text.len--;
    }
    while (slice_split(&text, '\n', &line)) {
        size_t used = shown_width(line);
        count += width != 0 && used > width ? (used + width - 1) / width : 1;
    }
    return count;
}

static bool fits(const struct pager *pager)
{
    struct winsize size = {.ws_row = 0};
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row == 0) {
        return true;
    }
    return pager_count_lines(slice_of(pager->text, pager->len), size.ws_col) < size.ws_row;
}

/* False: there is no such program, and nothing was shown. */
static bool page(const struct pager *pager)
{
    const char *program = getenv("PAGER");
    if (program == NULL) {
        program = "less";
    }
    if (program[0] == '\0' || strcmp(program, "cat") == 0) {
        return false;
    }
    (void)setenv("LESS", "FRX", 0); /* colours; and the page stays on the screen */
    FILE *pipe = popen(program, "we");
    if (pipe == NULL) {
        return false;
    }
    (void)fwrite(pager->text, 1, pager->len, pipe);
    int status = pclose(pipe);
    return !(WIFEXITED(status) && WEXITSTATUS(status) == NOT_FOUND_STATUS);
}

void pager_end(struct ctl *ctl, struct pager *pager)
{
    if (pager->out == NULL) {
        return;
    }
    (void)fclose(ctl->out);
    ctl->out = pager->out;
    pager->out = NULL;
    if (fits(pager) || !page(pager)) {
        (void)fwrite(pager->text, 1, pager->len, ctl->out);
    }
    free(pager->text);
    pager->text = NULL;
}
