#include "ctl/aside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char prefix[] = "lbctl: ";

void aside_open(struct aside *aside, const struct ctl *ctl)
{
    *aside = (struct aside){.ctl = *ctl};
    aside->ctl.out = open_memstream(&aside->out, &aside->out_len);
    aside->ctl.err = open_memstream(&aside->err, &aside->err_len);
    aside->ctl.color = false;
    aside->ctl.is_interactive = false;
    aside->ctl.is_followed = false;
    aside->ctl.trace = false;
    aside->ctl.output = CTL_TABLE;
    if (aside->ctl.out == NULL || aside->ctl.err == NULL) {
        abort(); /* no memory */
    }
}

void aside_end(struct aside *aside)
{
    (void)fclose(aside->ctl.out);
    (void)fclose(aside->ctl.err);
}

void aside_fini(struct aside *aside)
{
    free(aside->out);
    free(aside->err);
}

struct slice aside_line(const char *text)
{
    struct slice rest = slice_from(text);
    struct slice line;
    if (!slice_split(&rest, '\n', &line)) {
        return SLICE_NONE;
    }
    return slice_starts(line, slice_from(prefix)) ? slice_from_at(line, strlen(prefix)) : line;
}
