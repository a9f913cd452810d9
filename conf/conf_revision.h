/*
 * conf_revision - what is remembered about one revision, beside its document.
 *
 *     {"base":41,"changes_total":1,"confirmed":false,"deadline":1770000000000000,"hash":"0123...",
 *      "owner":"ingress","reason":"","rolled_back_to":0,"source":"api",
 *      "summary":"pools/web/retries: 1 -> 2","time":1770000000000000,"via":"patch","who":"unix
 * uid=0"}
 *
 * Texts that are too long are cut between two characters. What cannot be read is not an error of
 * the document it belongs to: that is then a revision about which nothing is known.
 *
 * Memory: plain values, no pointers. Threads: any.
 */
#ifndef CONF_CONF_REVISION_H
#define CONF_CONF_REVISION_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/base/buf.h"
#include "lbd/base/err.h"
#include "lbd/base/slice.h"

#define CONF_REVISION_HASH_MAX    17 /* 16 hexadecimal digits and a NUL */
#define CONF_REVISION_VIA_MAX     16 /* with the NUL, as the following */
#define CONF_REVISION_WHO_MAX     128
#define CONF_REVISION_SUMMARY_MAX 256
#define CONF_REVISION_REASON_MAX  192
#define CONF_REVISION_OWNER_MAX   254 /* meta.managed_by has at most 253 bytes */
#define CONF_REVISION_TEXT_MAX    16384

struct conf_revision {
    uint64_t number;  /* not in the text: its file is called by it */
    uint64_t bytes;   /* of the document; likewise */
    uint64_t time_us; /* wall clock when it was made; 0: not known */
    uint64_t changes_total;
    uint64_t rolled_back_to;           /* 0: it did not go back to anything */
    uint64_t base;                     /* not confirmed: the revision it falls back to */
    uint64_t deadline_us;              /* not confirmed: wall clock when it does */
    bool is_confirmed;                 /* what a restart would start with, when it was the newest */
    bool is_from_file;                 /* config_source was "file" */
    char hash[CONF_REVISION_HASH_MAX]; /* ETag of the whole document; "": not known */
    char via[CONF_REVISION_VIA_MAX];   /* "put", "patch", ... */
    char who[CONF_REVISION_WHO_MAX];
    char summary[CONF_REVISION_SUMMARY_MAX]; /* "pools/web/retries: 1 -> 2" */
    char reason[CONF_REVISION_REASON_MAX];   /* of going back by itself */
    char owner[CONF_REVISION_OWNER_MAX];     /* of an ?owner= write; of a rollback: whose was taken
                                                back */
};

/* Confirmed, everything else unknown. */
void conf_revision_init(struct conf_revision *revision, uint64_t number);
/* Copies into one of the arrays above, cut between two characters. */
void conf_revision_set(char *out, size_t size, struct slice text);
/* The text, one line, with a final newline. */
void conf_revision_write(const struct conf_revision *revision, struct buf *out);
/* Reads it into an initialised one. False: ERR_MALFORMED, and *revision is as it was. */
bool conf_revision_read(struct conf_revision *revision, struct slice text, struct err *err);

#endif
