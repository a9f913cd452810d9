/* conf_store_load - what is found at the start, and put right; declared in conf_store.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/conf_schema.h"
#include "conf/conf_store_inside.h"
#include "conf/json/json.h"
#include "lbd/base/mem.h"
#include "lbd/base/num.h"

enum { LISTED_MAX = 4096 }; /* revisions that a folder may hold before we stop counting */

/* The number in the file, or 0. */
static uint64_t read_number(const struct conf_store *store)
{
    struct buf text;
    struct err ignored;
    bool missing = false;
    uint64_t number = 0;
    buf_init(&text, CONF_STORE_FILE_MAX);
    if (!conf_disk_read(&store->disk, store->dir_fd, conf_store_number_name, &text, &missing,
                        &ignored) ||
        text.len > NUM_TEXT_MAX ||
        !num_parse_u64(slice_of(text.data, text.len > 0 ? text.len - 1 : 0), &number)) {
        number = 0;
    }
    buf_fini(&text);
    return number;
}

/* Fills in what its note says, when there is one that can be read. */
static void read_note(const struct conf_store *store, struct conf_revision *revision)
{
    char name[CONF_STORE_NAME_MAX];
    struct buf text;
    struct err ignored;
    bool missing = false;
    buf_init(&text, CONF_REVISION_TEXT_MAX);
    conf_store_file_name(revision->number, CONF_STORE_NOTE, name);
    if (conf_disk_read(&store->disk, store->revisions_fd, name, &text, &missing, &ignored)) {
        (void)conf_revision_read(revision, buf_slice(&text), &ignored);
    }
    buf_fini(&text);
}

/* "000042.json.tmp": we ended while it was written. */
static bool is_left_over(struct slice name)
{
    uint64_t number = 0;
    return (slice_ends(name, SLICE(".json.tmp")) || slice_ends(name, SLICE(".meta.tmp"))) &&
           num_parse_u64(slice_of(name.ptr, name.len - 9), &number);
}

/* What the folder holds: documents go into the list; the greatest number that has only a note is
 * returned, or 0. */
static uint64_t list_revisions(struct conf_store *store)
{
    uint64_t lonely = 0;
    uint64_t *notes = mem_alloc(LISTED_MAX * sizeof(*notes));
    uint32_t note_count = 0;
    int fd = conf_store_open_dir(store->revisions_fd, ".");
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (dir == NULL) {
        if (fd >= 0) {
            (void)close(fd);
        }
        free(notes);
        return 0;
    }
    free(store->revisions);
    store->revisions = mem_alloc(LISTED_MAX * sizeof(*store->revisions));
    store->revision_count = 0;
    const struct dirent *entry = NULL;
    while (store->revision_count < LISTED_MAX && note_count < LISTED_MAX &&
           (entry = readdir(dir)) != NULL) {
        struct slice name = slice_from(entry->d_name);
        struct stat status;
        uint64_t number = 0;
        bool is_note = slice_ends(name, SLICE(".meta"));
        if (is_left_over(name)) {
            (void)unlinkat(store->revisions_fd, entry->d_name, 0);
            continue;
        }
        if ((!is_note && !slice_ends(name, SLICE(".json"))) ||
            !num_parse_u64(slice_of(name.ptr, name.len - 5), &number)) {
            continue;
        }
        if (is_note) {
            notes[note_count++] = number;
        } else if (fstatat(store->revisions_fd, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
                   S_ISREG(status.st_mode)) {
            struct conf_revision *revision = &store->revisions[store->revision_count++];
            conf_revision_init(revision, number);
            revision->bytes = (uint64_t)status.st_size;
            revision->time_us = (uint64_t)status.st_mtim.tv_sec * 1000000U;
            read_note(store, revision);
        }
    }
    (void)closedir(dir);
    conf_store_sort(store);
    for (uint32_t i = 0; i < note_count; i++) {
        if (conf_store_find(store, notes[i]) == NULL) {
            conf_store_drop(store, notes[i]);
            lonely = notes[i] > lonely ? notes[i] : lonely;
        }
    }
    free(notes);
    return lonely;
}

static struct conf_document *document_of(const char *name, struct slice text, struct err *err)
{
    struct conf_errors *errors = mem_zero(1, sizeof(*errors));
    conf_errors_init(errors);
    struct conf_document *document = conf_document_from_saved_text(text, errors);
    if (document == NULL) {
        struct buf line;
        buf_init(&line, sizeof err->text - 1);
        conf_errors_describe(&errors->errors[0], slice_from(name), &line);
        (void)err_set(err, ERR_INVALID, "%.*s", SLICE_ARG(buf_slice(&line)));
        buf_fini(&line);
    }
    conf_errors_fini(errors);
    free(errors);
    return document;
}

static struct conf_document *load_revision(struct conf_store *store, uint64_t number,
                                           struct buf *text, struct err *err)
{
    char name[CONF_STORE_NAME_MAX];
    conf_store_file_name(number, CONF_STORE_DOCUMENT, name);
    buf_clear(text);
    return conf_store_read_revision(store, number, text, err)
               ? document_of(name, buf_slice(text), err)
               : NULL;
}

/* The newest that may stand in for config.json: it ran, and not from a file. */
static const struct conf_revision *newest_whole(struct conf_store *store, struct buf *text,
                                                struct conf_document **document)
{
    struct err ignored; /* the reason to tell is that of config.json */
    for (uint32_t i = 0; i < store->revision_count; i++) {
        const struct conf_revision *revision = &store->revisions[i];
        if (revision->is_confirmed && !revision->is_from_file) {
            *document = load_revision(store, revision->number, text, &ignored);
            if (*document != NULL) {
                return revision;
            }
        }
    }
    return NULL;
}

static bool has_saved_revision(const struct conf_store *store)
{
    for (uint32_t i = 0; i < store->revision_count; i++) {
        if (!store->revisions[i].is_from_file) {
            return true;
        }
    }
    return false;
}

/* The document's number is known from here on. */
static void adopt(struct conf_store *store, uint64_t number, struct slice text)
{
    struct err ignored;
    struct conf_store_item item = {.text = text};
    const struct conf_store_save save = {.items = &item, .count = 1};
    conf_revision_init(&item.note, number);
    read_note(store, &item.note);
    item.note.is_confirmed = true;
    for (uint32_t i = 0; i < store->dropped_count; i++) { /* its note is not lonely any more */
        if (store->dropped[i] == number) {
            store->dropped[i] = store->dropped[--store->dropped_count];
            break;
        }
    }
    (void)conf_store_write_document(store, number, text, CONF_DISK_LAZY, &ignored);
    (void)conf_store_write_number(store, number, &ignored);
    conf_store_noted(store, &save);
}

static bool newest_has_text(const struct conf_store *store, struct slice text)
{
    struct buf old;
    struct err ignored;
    buf_init(&old, CONF_STORE_FILE_MAX);
    bool same = conf_store_read_revision(store, store->revisions[0].number, &old, &ignored) &&
                slice_eq(buf_slice(&old), text);
    buf_fini(&old);
    return same;
}

/* Which number has the text in config.json? The newest that was noted; or a later one when we ended
 * between the save and its documents: then a note may be there already. */
static enum conf_store_found find_number(struct conf_store *store, struct slice text,
                                         uint64_t newest, uint64_t lonely, uint64_t *number)
{
    bool is_kept = store->revision_count != 0 && store->revisions[0].number == newest;
    *number = newest;
    if (newest == 0) {
        *number = lonely != 0 ? lonely : 1;
        adopt(store, *number, text);
        return CONF_STORE_CURRENT;
    }
    if (!is_kept) { /* the number alone was kept: config_source was "file" meanwhile */
        return CONF_STORE_CURRENT;
    }
    struct conf_revision *last = &store->revisions[0];
    if (newest_has_text(store, text)) {
        last->is_confirmed = true; /* we ended while it was being confirmed */
        return CONF_STORE_CURRENT;
    }
    if (!last->is_confirmed) {
        *number = (lonely > newest ? lonely : newest) + 1;
        return CONF_STORE_TAKEN_BACK;
    }
    *number = lonely > newest ? lonely : newest + 1;
    adopt(store, *number, text);
    return CONF_STORE_CURRENT;
}

/* A document for a newer lbd is not damaged, and an older one in its place would be wrong. */
static bool is_of_newer_schema(struct slice text, int64_t *schema)
{
    struct json_limits limits = json_limits_document;
    struct json_error ignored;
    limits.values = UINT32_MAX;
    limits.objects = UINT32_MAX;
    struct json *json = json_parse(text, JSON_STRICT, &limits, &ignored);
    const struct conf_field *field = conf_schema_find(conf_schema_document, SLICE("schema"));
    bool is_newer = json_integer(json_get(json, SLICE("schema")), schema) && *schema > field->max;
    json_free(json);
    return is_newer;
}

static void say_newer(struct conf_store *store, int64_t schema, struct buf *text, struct err *err)
{
    struct conf_document *document = NULL;
    const struct conf_revision *works = newest_whole(store, text, &document);
    conf_document_unref(document);
    if (works != NULL) {
        (void)err_set(err, ERR_INVALID,
                      "config.json has schema %lld, which is newer than this lbd; revision %llu "
                      "still works: copy revisions/%06llu.json over config.json to go back to it",
                      (long long)schema, (unsigned long long)works->number,
                      (unsigned long long)works->number);
    } else {
        (void)err_set(err, ERR_INVALID,
                      "config.json has schema %lld, which is newer than this lbd, and no revision "
                      "that is kept is older",
                      (long long)schema);
    }
}

static enum conf_store_found load(struct conf_store *store, struct conf_document **document,
                                  uint64_t *revision, struct err *err)
{
    enum conf_store_found found = CONF_STORE_BROKEN;
    bool missing = false;
    int64_t schema = 0;
    struct buf text;
    uint64_t lonely = list_revisions(store);
    uint64_t number = read_number(store);
    uint64_t newest = store->revision_count > 0 && store->revisions[0].number > number
                          ? store->revisions[0].number
                          : number;

    *document = NULL;
    *revision = newest;
    buf_init(&text, CONF_STORE_FILE_MAX);
    err_clear(err);
    if (conf_disk_read(&store->disk, store->dir_fd, conf_store_config_name, &text, &missing, err)) {
        *document = document_of(conf_store_config_name, buf_slice(&text), err);
    }
    if (*document != NULL) {
        found = find_number(store, buf_slice(&text), newest, lonely, revision);
    } else if (missing && !has_saved_revision(store)) {
        err_clear(err);
        found = CONF_STORE_EMPTY;
    } else if (!missing && is_of_newer_schema(buf_slice(&text), &schema)) {
        say_newer(store, schema, &text, err);
        found = CONF_STORE_NEWER;
    } else {
        const struct conf_revision *older = newest_whole(store, &text, document);
        if (older != NULL) {
            size_t len = strlen(err->text);
            (void)snprintf(err->text + len, sizeof err->text - len,
                           "; revision %llu is used instead", (unsigned long long)older->number);
            *revision = newest + 1;
            found = CONF_STORE_OLDER;
        }
    }
    buf_fini(&text);
    return found;
}

void conf_store_settle_vault(struct conf_store *store)
{
    struct buf text;
    struct err ignored;
    bool missing = false;
    buf_init(&text, CONF_STORE_FILE_MAX);
    for (uint32_t i = 0; i < store->revision_count && !conf_vault_is_empty(store->vault); i++) {
        uint64_t number = store->revisions[i].number;
        buf_clear(&text);
        if (conf_store_read_revision(store, number, &text, &ignored)) {
            conf_vault_note_text(store->vault, number, buf_slice(&text));
        }
    }
    buf_clear(&text);
    if (conf_disk_read(&store->disk, store->dir_fd, conf_store_config_name, &text, &missing,
                       &ignored)) {
        conf_vault_note_text(store->vault, CONF_VAULT_BOOT, buf_slice(&text));
    }
    buf_fini(&text);
    conf_vault_sweep(store->vault);
}

enum conf_store_found conf_store_load(struct conf_store *store, struct conf_document **document,
                                      uint64_t *revision, struct err *err)
{
    enum conf_store_found found = load(store, document, revision, err);
    if (found != CONF_STORE_NEWER && found != CONF_STORE_BROKEN) { /* else all is evidence */
        conf_store_prune(store);
        conf_store_remove_dropped(store);
        conf_store_settle_vault(store);
    }
    return found;
}

uint64_t conf_store_list(struct conf_store *store)
{
    uint64_t lonely = list_revisions(store);
    uint64_t number = read_number(store);
    (void)lonely; /* notes of what never came to be */
    conf_store_prune(store);
    conf_store_remove_dropped(store);
    conf_store_settle_vault(store);
    return store->revision_count > 0 && store->revisions[0].number > number
               ? store->revisions[0].number
               : number;
}
