/*
 * document - a configuration as a person wrote it, and as it is sent.
 *
 *     shop.jsonc --text_file--> text --json_parse--> tree without "daemon" --> strict JSON
 *
 * Mistakes of syntax are found here, with their place; what the words mean is lbd's business.
 *
 * Memory: owns its texts and the tree. Threads: one.
 */
#ifndef CTL_DOCUMENT_H
#define CTL_DOCUMENT_H

#include "conf/json/json.h"
#include "ctl/ctl.h"
#include "ctl/refusal.h"
#include "lbd/base/buf.h"

struct document {
    struct refusal_source source; /* name and text as it was written */
    struct buf text;
    struct json *json;
    struct buf body; /* what is sent */
};

/* Reads a file ("-": stdin). `verdict` ("not applied") begins the complaint about what is no JSON.
 * document_fini whatever comes out. */
enum ctl_exit document_read(struct ctl *ctl, const char *path, const char *verdict,
                            struct document *document);
/* POSTs it. NULL: printed why not, with the places of all
 * errors; *code says how to end. The caller owns it. */
LB_MUST_CHECK struct json *document_post(struct ctl *ctl, const struct document *document,
                                         const char *target, enum ctl_exit *code);
void document_fini(struct document *document);

#endif
