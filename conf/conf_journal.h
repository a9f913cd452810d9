/*
 * conf_journal - small records behind a file that is dear to write: each durable with one write.
 *
 * Replacing a file (conf_disk) costs two syncs and grows with the file. What changes one thing of
 * many is appended here instead, into a file whose bytes are there already, so that one fdatasync
 * of one block is all.
 *
 *     base file, with tag T      journal:  T checksum record \n   T checksum record \n   ...
 *
 * Records count when they have the tag of the base file; the first one that has another, or whose
 * checksum is wrong because it was half written, is the end. A new base with a new tag empties the
 * journal without a write. One that is half written has none behind it: when there is one, or when
 * the file is not as long as it was made, records were lost that had been promised to be kept.
 *
 * Limits: 256 KiB; then the base is to be written anew. Memory: one descriptor. Threads: one at a
 * time.
 */
#ifndef CONF_CONF_JOURNAL_H
#define CONF_CONF_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/conf_disk.h"
#include "lbd/base/compiler.h"
#include "lbd/base/err.h"
#include "lbd/base/slice.h"

#define CONF_JOURNAL_BYTES (256U * 1024U)

struct conf_journal {
    const struct conf_disk *disk; /* borrowed: for messages and tests */
    const char *name;             /* static */
    int fd;                       /* -1: not open */
    size_t end;                   /* where the next record goes */
    uint64_t tag;                 /* 0: nothing may be appended */
    bool was_short;               /* when it was opened: new, or cut */
};

/* Opens or makes the file. False: ERR_STORAGE. */
LB_MUST_CHECK bool conf_journal_open(struct conf_journal *journal, const struct conf_disk *disk,
                                     int dir_fd, const char *name, struct err *err);
void conf_journal_close(struct conf_journal *journal); /* safe when it is not open */
/* Calls back for each record of `tag`, in order, until it says false; that is then the result.
 * Nothing may be appended after it before conf_journal_begin. *is_damaged: some may be missing. */
bool conf_journal_read(struct conf_journal *journal, uint64_t tag,
                       bool (*record)(struct slice record, void *arg), void *arg, bool *is_damaged);
/* A base with this tag (not 0) was saved: what stood here is void. */
void conf_journal_begin(struct conf_journal *journal, uint64_t tag);
/* A record is one line. False: ERR_TOO_LARGE when the base must be saved first (also when none
 * was), ERR_STORAGE; nothing was appended. */
LB_MUST_CHECK bool conf_journal_append(struct conf_journal *journal, struct slice record,
                                       struct err *err);

#endif
