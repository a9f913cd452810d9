/*
 * cmd_edit - `lbctl edit`: a part of the configuration in the editor of whoever asks.
 *
 *     fetch --> write a file --> $VISUAL --> read it --> rehearse --> done
 *                  ^                                        |
 *                  +--- errors as comments at their lines --+
 *
 * Whatever is sent carries the ETag of what the person saw. Somebody else changed it meanwhile?
 * Changes at other places are put together with these; at the same place the person is shown what
 * is there now. A text that is left as it was changes nothing. A text that could not be applied is
 * kept, and where is said.
 *
 * Threads: one.
 */
#ifndef CTL_CMD_EDIT_H
#define CTL_CMD_EDIT_H

#include "ctl/ctl.h"
#include "lbd/base/buf.h"

enum ctl_exit cmd_edit(struct ctl *ctl);

/* A remark at a line of a text. */
struct cmd_edit_note {
    uint32_t line; /* from 1; 0: at the top */
    const char *text;
};

/* Writes `text` with its notes, each as a comment on a line of its own above the line it is about.
 * Notes of an earlier time are left out. The notes are in order of their lines. */
void cmd_edit_annotate(struct slice text, const struct cmd_edit_note *notes, uint32_t count,
                       struct buf *out);

#endif
