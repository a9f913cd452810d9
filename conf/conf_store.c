#include "conf/conf_store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/conf_seal.h"
#include "conf/conf_store_inside.h"
#include "lbd/base/mem.h"
#include "lbd/base/num.h"

static const struct {
    const char *name;
    const char *kind;
} small_files[] = {
    [CONF_STORE_OVERRIDES] = {"overrides.json", "overrides"},
    [CONF_STORE_MEMBERS] = {"members.json", "members"},
    [CONF_STORE_OWNERS] = {"owners.json", "owners"},
};

/* -- life -- */

int conf_store_open_dir(int dir_fd, const char *name)
{
    return openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void close_if_open(int fd)
{
    if (fd >= 0) {
        (void)close(fd);
    }
}

struct conf_store *conf_store_open(const char *dir, struct err *err)
{
    struct conf_store *store = mem_zero(1, sizeof(*store));
    const char *crash_at = getenv("LBD_TEST_CRASH_AT");
    store->dir = mem_strdup(dir);
    store->crash_at = crash_at != NULL ? mem_strdup(crash_at) : NULL;
    store->disk = (struct conf_disk){.dir = store->dir, .crash_at = store->crash_at};
    store->dir_fd = -1;
    store->revisions_fd = -1;
    store->lock_fd = -1;
    store->number_fd = -1;
    store->overrides.fd = -1;
    if (!conf_disk_make_dirs(dir, err)) {
        goto failed;
    }
    store->dir_fd = conf_store_open_dir(AT_FDCWD, dir);
    if (store->dir_fd < 0) {
        (void)conf_disk_fail(&store->disk, err, "open", dir, errno);
        goto failed;
    }
    store->lock_fd = conf_disk_lock(&store->disk, store->dir_fd, err);
    if (store->lock_fd < 0) {
        goto failed;
    }
    (void)mkdirat(store->dir_fd, "revisions", 0700); /* open_dir_at tells whether it is there */
    store->revisions_fd = conf_store_open_dir(store->dir_fd, "revisions");
    if (store->revisions_fd < 0) {
        (void)conf_disk_fail(&store->disk, err, "open", "revisions", errno);
        goto failed;
    }
    store->vault = conf_vault_new(&store->disk, store->dir_fd);
    return store;

failed:
    conf_store_close(store);
    return NULL;
}

void conf_store_file_name(uint64_t number, enum conf_store_suffix suffix,
                          char out[CONF_STORE_NAME_MAX])
{
    (void)snprintf(out, CONF_STORE_NAME_MAX, "%06llu.%s", (unsigned long long)number,
                   suffix == CONF_STORE_DOCUMENT ? "json" : "meta");
}

/* "000042.json.tmp" */
static void temporary_name(uint64_t number, enum conf_store_suffix suffix,
                           char out[CONF_STORE_NAME_MAX])
{
    conf_store_file_name(number, suffix, out);
    (void)strcat(out, ".tmp"); /* numbers have at most 20 digits */
}

static const enum conf_store_suffix suffixes[] = {CONF_STORE_DOCUMENT, CONF_STORE_NOTE};

static void remove_files(const struct conf_store *store, uint64_t number)
{
    for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
        char name[CONF_STORE_NAME_MAX];
        conf_store_file_name(number, suffixes[i], name);
        (void)unlinkat(store->revisions_fd, name, 0);
        temporary_name(number, suffixes[i], name);
        (void)unlinkat(store->revisions_fd, name, 0);
    }
}

void conf_store_remove_dropped(struct conf_store *store)
{
    for (uint32_t i = 0; i < store->dropped_count; i++) {
        remove_files(store, store->dropped[i]);
    }
    store->dropped_count = 0;
}

void conf_store_close(struct conf_store *store)
{
    if (store == NULL) {
        return;
    }
    if (store->revisions_fd >= 0) {
        conf_store_remove_dropped(store);
    }
    conf_vault_free(store->vault);
    close_if_open(store->revisions_fd);
    close_if_open(store->number_fd);
    conf_journal_close(&store->overrides);
    close_if_open(store->lock_fd);
    close_if_open(store->dir_fd);
    free(store->dropped);
    free(store->revisions);
    free(store->crash_at);
    free(store->dir);
    free(store);
}

/* -- the list of revisions -- */

static int compare_newest_first(const void *a, const void *b)
{
    const struct conf_revision *left = a;
    const struct conf_revision *right = b;
    if (left->number == right->number) {
        return 0;
    }
    return left->number > right->number ? -1 : 1;
}

void conf_store_sort(struct conf_store *store)
{
    if (store->revision_count > 1) {
        qsort(store->revisions, store->revision_count, sizeof(*store->revisions),
              compare_newest_first);
    }
}

void conf_store_drop(struct conf_store *store, uint64_t number)
{
    store->dropped =
        mem_resize(store->dropped, (store->dropped_count + 1) * sizeof(*store->dropped));
    store->dropped[store->dropped_count++] = number;
    conf_vault_forget(store->vault, number);
}

void conf_store_prune(struct conf_store *store)
{
    uint64_t bytes = 0;
    uint32_t kept = 0;
    while (kept < store->revision_count && kept < CONF_STORE_HISTORY_MAX) {
        bytes += store->revisions[kept].bytes;
        if (kept > 0 && bytes > CONF_STORE_HISTORY_BYTES_MAX) {
            break;
        }
        kept++;
    }
    for (uint32_t i = kept; i < store->revision_count; i++) {
        conf_store_drop(store, store->revisions[i].number);
    }
    store->revision_count = kept;
}

static void note_names(struct conf_store *store, uint64_t revision,
                       const struct conf_store_item *item)
{
    if (item->conf != NULL) {
        conf_vault_note(store->vault, revision, item->conf);
    } else {
        conf_vault_note_text(store->vault, revision, item->text);
    }
}

void conf_store_noted(struct conf_store *store, const struct conf_store_save *save)
{
    if (save->target == CONF_STORE_BOOT) {
        note_names(store, CONF_VAULT_BOOT, &save->items[save->count - 1]);
    }
    for (uint32_t i = 0; i < save->count; i++) {
        const struct conf_store_item *item = &save->items[i];
        struct conf_revision *known = NULL;
        for (uint32_t r = 0; r < store->revision_count && known == NULL; r++) {
            if (store->revisions[r].number == item->note.number) {
                known = &store->revisions[r];
            }
        }
        if (known == NULL) {
            store->revisions = mem_resize(store->revisions,
                                          (store->revision_count + 1) * sizeof(*store->revisions));
            known = &store->revisions[store->revision_count++];
        }
        *known = item->note;
        known->bytes = item->text.len;
        note_names(store, item->note.number, item);
    }
    conf_store_sort(store);
    conf_store_prune(store);
}

const struct conf_revision *conf_store_history(const struct conf_store *store, uint32_t *count)
{
    *count = store->revision_count;
    return store->revisions;
}

const struct conf_revision *conf_store_find(const struct conf_store *store, uint64_t number)
{
    for (uint32_t i = 0; i < store->revision_count; i++) {
        if (store->revisions[i].number == number) {
            return &store->revisions[i];
        }
    }
    return NULL;
}

void conf_store_learn_hash(struct conf_store *store, uint64_t number, const char *hash)
{
    for (uint32_t i = 0; i < store->revision_count; i++) {
        if (store->revisions[i].number == number) {
            conf_revision_set(store->revisions[i].hash, sizeof(store->revisions[i].hash),
                              slice_from(hash));
        }
    }
}

bool conf_store_read_revision(const struct conf_store *store, uint64_t revision, struct buf *out,
                              struct err *err)
{
    char name[CONF_STORE_NAME_MAX];
    bool missing = false;
    conf_store_file_name(revision, CONF_STORE_DOCUMENT, name);
    if (conf_disk_read(&store->disk, store->revisions_fd, name, out, &missing, err)) {
        return true;
    }
    if (missing) {
        (void)err_set(err, ERR_NOT_FOUND, "revision %llu is not kept",
                      (unsigned long long)revision);
    }
    return false;
}

/* -- saving -- */

bool conf_store_write_number(struct conf_store *store, uint64_t revision, struct err *err)
{
    char text[NUM_TEXT_MAX + 1];
    size_t len = num_write_u64(text, revision);
    text[len++] = '\n';
    if (store->number_fd < 0) {
        store->number_fd = openat(store->dir_fd, conf_store_number_name,
                                  O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    }
    if (store->number_fd < 0) {
        return conf_disk_fail(&store->disk, err, "open", conf_store_number_name, errno);
    }
    /* Numbers only grow, and so does the text. */
    return conf_disk_overwrite(&store->disk, store->number_fd, conf_store_number_name, "number",
                               slice_of(text, len), err);
}

/* What is dropped from the history makes room for what comes into it. */
static void reuse(struct conf_store *store, uint64_t number)
{
    if (store->dropped_count == 0) {
        return;
    }
    uint64_t old = store->dropped[--store->dropped_count];
    for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
        char from[CONF_STORE_NAME_MAX];
        char to[CONF_STORE_NAME_MAX];
        conf_store_file_name(old, suffixes[i], from);
        temporary_name(number, suffixes[i], to);
        (void)renameat(store->revisions_fd, from, store->revisions_fd, to);
    }
}

static bool write_note(const struct conf_store *store, const struct conf_revision *note,
                       enum conf_disk_durability durability, struct err *err)
{
    char name[CONF_STORE_NAME_MAX];
    struct buf text;
    buf_init(&text, CONF_REVISION_TEXT_MAX);
    conf_store_file_name(note->number, CONF_STORE_NOTE, name);
    conf_revision_write(note, &text);
    bool ok = conf_disk_replace(&store->disk, store->revisions_fd, name, "meta", buf_slice(&text),
                                durability, err);
    buf_fini(&text);
    return ok;
}

bool conf_store_write_document(const struct conf_store *store, uint64_t number, struct slice text,
                               enum conf_disk_durability durability, struct err *err)
{
    char name[CONF_STORE_NAME_MAX];
    conf_store_file_name(number, CONF_STORE_DOCUMENT, name);
    return conf_disk_replace(&store->disk, store->revisions_fd, name, "history", text, durability,
                             err);
}

static bool write_notes(const struct conf_store *store, const struct conf_store_save *save,
                        enum conf_disk_durability durability, struct err *err)
{
    bool ok = true;
    for (uint32_t i = 0; ok && i < save->count; i++) {
        ok = write_note(store, &save->items[i].note, durability, err);
    }
    return ok;
}

static bool write_documents(const struct conf_store *store, const struct conf_store_save *save,
                            enum conf_disk_durability durability, struct err *err)
{
    bool ok = true;
    for (uint32_t i = 0; ok && i < save->count; i++) {
        ok = conf_store_write_document(store, save->items[i].note.number, save->items[i].text,
                                       durability, err);
    }
    return ok;
}

/* What was written of revisions that are none after all. */
static void take_back(const struct conf_store *store, const struct conf_store_save *save)
{
    for (uint32_t i = 0; i < save->count && !save->is_confirmation; i++) {
        if (conf_store_find(store, save->items[i].note.number) == NULL) {
            remove_files(store, save->items[i].note.number);
        }
    }
}

static bool write_boot(const struct conf_store *store, const struct conf_store_save *save,
                       struct err *err)
{
    struct err ignored;
    if (!save->is_confirmation) {
        (void)write_notes(store, save, CONF_DISK_LAZY, &ignored);
    }
    if (!conf_disk_replace(&store->disk, store->dir_fd, conf_store_config_name, "save",
                           save->items[save->count - 1].text, CONF_DISK_OFTEN, err)) {
        return false;
    }
    if (save->is_confirmation) { /* else it would seem to have been confirmed and lost */
        (void)write_notes(store, save, CONF_DISK_LAZY, &ignored);
    } else {
        (void)write_documents(store, save, CONF_DISK_LAZY, &ignored);
    }
    return true;
}

static bool write_target(struct conf_store *store, const struct conf_store_save *save,
                         struct err *err)
{
    struct err ignored;
    switch (save->target) {
    case CONF_STORE_BOOT:
        return write_boot(store, save, err);
    case CONF_STORE_UNCONFIRMED:
        return write_notes(store, save, CONF_DISK_DURABLE, err) &&
               write_documents(store, save, CONF_DISK_DURABLE, err);
    case CONF_STORE_FILE:
        (void)write_notes(store, save, CONF_DISK_LAZY, &ignored);
        (void)write_documents(store, save, CONF_DISK_LAZY, &ignored);
        break;
    }
    return conf_store_write_number(store, save->items[save->count - 1].note.number, err);
}

/* -- keys that came in with a document -- */

static bool put_key(struct conf_store *store, const struct conf_certificate *certificate,
                    struct err *err)
{
    struct buf text;
    buf_init(&text, CONF_VAULT_FILE_MAX);
    conf_seal_text(certificate->sent_chain, certificate->sent_key, &text);
    bool ok = conf_vault_put(store->vault, certificate->stored, buf_slice(&text), err);
    explicit_bzero(text.data, text.len);
    buf_fini(&text);
    return ok;
}

static bool put_keys(struct conf_store *store, const struct conf_store_save *save, struct err *err)
{
    bool ok = true;
    for (uint32_t i = 0; i < save->count; i++) {
        const struct conf *conf = save->items[i].conf;
        for (uint32_t c = 0; ok && conf != NULL && c < conf->certificate_count; c++) {
            const struct conf_certificate *certificate = &conf->certificates[c];
            ok = certificate->sent_key.len == 0 || put_key(store, certificate, err);
        }
    }
    return ok;
}

static void take_back_keys(struct conf_store *store, const struct conf_store_save *save)
{
    for (uint32_t i = 0; i < save->count; i++) {
        const struct conf *conf = save->items[i].conf;
        for (uint32_t c = 0; conf != NULL && c < conf->certificate_count; c++) {
            conf_vault_drop(store->vault, conf->certificates[c].stored);
        }
    }
}

struct conf_vault *conf_store_vault(struct conf_store *store)
{
    return store->vault;
}

static bool write_all(struct conf_store *store, const struct conf_store_save *save, struct err *err)
{
    struct err ignored;
    assert(save->count != 0);
    for (uint32_t i = 0; i < save->count && !save->is_confirmation; i++) {
        reuse(store, save->items[i].note.number);
    }
    if (!put_keys(store, save, err)) {
        return false;
    }
    if (save->has_members && !conf_store_save_file(store, CONF_STORE_MEMBERS, save->members, err)) {
        return false;
    }
    if (!write_target(store, save, err)) {
        take_back(store, save);
        return false;
    }
    if (save->target != CONF_STORE_FILE) { /* a load finds it out without */
        (void)conf_store_write_number(store, save->items[save->count - 1].note.number, &ignored);
    }
    conf_store_remove_dropped(store);
    return true;
}

bool conf_store_write(struct conf_store *store, const struct conf_store_save *save, struct err *err)
{
    bool ok = write_all(store, save, err);
    if (!ok) {
        take_back_keys(store, save);
    }
    return ok;
}

/* -- small files -- */

bool conf_store_save_file(struct conf_store *store, enum conf_store_file file, struct slice text,
                          struct err *err)
{
    return conf_disk_replace(&store->disk, store->dir_fd, small_files[file].name,
                             small_files[file].kind, text, CONF_DISK_DURABLE, err);
}

bool conf_store_read_file(const struct conf_store *store, enum conf_store_file file,
                          struct buf *out, struct err *err)
{
    bool missing = false;
    if (conf_disk_read(&store->disk, store->dir_fd, small_files[file].name, out, &missing, err)) {
        /* one that is empty is not the same as none: its text is there, and is no JSON */
        return out->len != 0 || buf_append_char(out, '\n');
    }
    if (missing) {
        err_clear(err);
    }
    return missing;
}

bool conf_store_save_overrides(struct conf_store *store, struct slice text, struct err *err)
{
    return conf_store_save_file(store, CONF_STORE_OVERRIDES, text, err);
}

struct conf_journal *conf_store_overrides_journal(struct conf_store *store, struct err *err)
{
    if (store->overrides.fd < 0 &&
        !conf_journal_open(&store->overrides, &store->disk, store->dir_fd, "overrides.log", err)) {
        return NULL;
    }
    return &store->overrides;
}

bool conf_store_read_overrides(struct conf_store *store, struct buf *out, struct err *err)
{
    return conf_store_read_file(store, CONF_STORE_OVERRIDES, out, err);
}
