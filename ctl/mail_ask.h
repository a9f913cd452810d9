/*
 * mail_ask - what the commands of mail share: questions under /v1/mail and lists as answers.
 *
 * Threads: one.
 */
#ifndef CTL_MAIL_ASK_H
#define CTL_MAIL_ASK_H

#include "ctl/ctl.h"
#include "ctl/print_table.h"
#include "lbd/base/buf.h"
#include "lbd/base/compiler.h"

/* "/v1/mail/users/joe%40example.com/move" of "users", "joe@example.com", "move"; the last two may
 * be NULL. */
void mail_ask_path(struct buf *path, const char *collection, const char *name, const char *verb);
/* Sends it. NULL: printed why not, *code says how to end; else the answer, perhaps JSON null when
 * there is none. The caller owns it. `type` NULL: JSON, or no body when it is empty. */
LB_MUST_CHECK struct json *mail_ask(struct ctl *ctl, const char *method, const char *path,
                                    const char *type, struct slice body, enum ctl_exit *code);

/* A list in an answer, in the form that -o wants. */
struct mail_list {
    const char *key;           /* of the answer: "sessions" */
    const char *name;          /* of an entry, for -o name: "id" */
    const char *const *titles; /* ends with NULL */
    void (*row)(struct print_table *table, const struct json *entry);
};
void mail_ask_print(struct ctl *ctl, const struct json *answer, const struct mail_list *list);

/* Prints what may have come from elsewhere, without a newline. */
void mail_ask_say(struct ctl *ctl, const char *fmt, ...) LB_PRINTF(2, 3);
/* Cells: a text; a number; seconds as "3m 2s"; a moment as a clock. */
void mail_ask_text(struct print_table *table, const struct json *entry, const char *path);
void mail_ask_number(struct print_table *table, const struct json *entry, const char *path);
void mail_ask_span(struct print_table *table, const struct json *entry, const char *path_ms);
void mail_ask_moment(struct print_table *table, const struct json *entry, const char *path);

#endif
