/*
 * conf_store_inside - what the files of conf_store share and nobody else sees.
 *
 *     conf_store.c      life, saving, history      conf_store_load.c   what is found at the start
 *
 * Threads: as conf_store.h says.
 */
#ifndef CONF_CONF_STORE_INSIDE_H
#define CONF_CONF_STORE_INSIDE_H

#include "conf/conf_disk.h"
#include "conf/conf_journal.h"
#include "conf/conf_store.h"
#include "conf/conf_vault.h"

enum { CONF_STORE_NAME_MAX = 64 }; /* of a file in here, with its NUL */

#define conf_store_config_name "config.json"
#define conf_store_number_name "revision"

struct conf_store {
    char *dir; /* for messages */
    char *crash_at;
    struct conf_disk disk;
    int dir_fd;
    int revisions_fd;
    int lock_fd;
    int number_fd; /* of "revision"; -1: not opened yet */
    struct conf_vault *vault;
    struct conf_journal overrides;   /* opened when it is asked for */
    struct conf_revision *revisions; /* newest first */
    uint32_t revision_count;
    uint64_t *dropped; /* numbers whose files are to be removed */
    uint32_t dropped_count;
};

enum conf_store_suffix { CONF_STORE_DOCUMENT, CONF_STORE_NOTE };
void conf_store_file_name(uint64_t number, enum conf_store_suffix suffix,
                          char out[CONF_STORE_NAME_MAX]);
int conf_store_open_dir(int dir_fd, const char *name);
/* Everything that is kept is known: keys that nothing names go. */
void conf_store_settle_vault(struct conf_store *store);
/* Newest first. */
void conf_store_sort(struct conf_store *store);
/* Those beyond the limits go: from the list at once, from the folder with remove_dropped. */
void conf_store_prune(struct conf_store *store);
void conf_store_drop(struct conf_store *store, uint64_t number);
void conf_store_remove_dropped(struct conf_store *store);
bool conf_store_write_number(struct conf_store *store, uint64_t revision, struct err *err);
bool conf_store_write_document(const struct conf_store *store, uint64_t number, struct slice text,
                               enum conf_disk_durability durability, struct err *err);

#endif
