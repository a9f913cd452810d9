#include "conf/conf_vault.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lbd/base/mem.h"

#define FOLDER "certificates"

enum {
    NAME_MAX_LEN = CONF_VAULT_HEX_LEN + 16, /* HEX.pem.tmp */
    HEX_SIZE = CONF_VAULT_HEX_LEN + 1,
};

struct hex {
    char text[HEX_SIZE];
};

/* What one document names, sorted; shared by revisions that name the same. */
struct names {
    uint32_t refs;
    uint32_t count;
    struct hex items[];
};

struct keeper {
    uint64_t revision;
    struct names *names; /* held */
};

struct conf_vault {
    const struct conf_disk *disk;
    int parent_fd;
    _Atomic int dir_fd; /* -1: there is no folder yet */
    bool is_settled;    /* all who name something have said so: what nobody names may go */
    struct keeper *keepers;
    uint32_t count;
};

/* -- files -- */

/* -1: there is none. Whoever comes first after it was made finds it. */
static int open_folder(const struct conf_vault *vault)
{
    return openat(vault->parent_fd, FOLDER, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
}

struct conf_vault *conf_vault_new(const struct conf_disk *disk, int dir_fd)
{
    struct conf_vault *vault = mem_zero(1, sizeof(*vault));
    vault->disk = disk;
    vault->parent_fd = dir_fd;
    vault->dir_fd = open_folder(vault);
    return vault;
}

static void unref(struct names *names)
{
    if (--names->refs == 0) {
        free(names);
    }
}

void conf_vault_free(struct conf_vault *vault)
{
    if (vault == NULL) {
        return;
    }
    for (uint32_t i = 0; i < vault->count; i++) {
        unref(vault->keepers[i].names);
    }
    if (vault->dir_fd >= 0) {
        (void)close(vault->dir_fd);
    }
    free(vault->keepers);
    free(vault);
}

static bool is_hex(struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) {
            return false;
        }
    }
    return text.len == CONF_VAULT_HEX_LEN;
}

static bool hex_of(struct slice stored, struct hex *out)
{
    struct slice prefix = SLICE(CONF_VAULT_PREFIX);
    if (!slice_starts(stored, prefix) || !is_hex(slice_from_at(stored, prefix.len))) {
        return false;
    }
    memcpy(out->text, stored.ptr + prefix.len, CONF_VAULT_HEX_LEN);
    out->text[CONF_VAULT_HEX_LEN] = '\0';
    return true;
}

static bool name_of(struct slice stored, char out[NAME_MAX_LEN])
{
    struct hex hex;
    if (!hex_of(stored, &hex)) {
        return false;
    }
    (void)snprintf(out, NAME_MAX_LEN, "%s.pem", hex.text);
    return true;
}

bool conf_vault_has(const struct conf_vault *vault, struct slice stored)
{
    char name[NAME_MAX_LEN];
    struct stat facts;
    return vault->dir_fd >= 0 && name_of(stored, name) &&
           fstatat(vault->dir_fd, name, &facts, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(facts.st_mode);
}

/* Control and the saver may both be the first. */
static bool make_folder(struct conf_vault *vault, struct err *err)
{
    int none = -1;
    if (vault->dir_fd >= 0) {
        return true;
    }
    (void)mkdirat(vault->parent_fd, FOLDER, 0700); /* opening it tells whether it is there */
    int fd = open_folder(vault);
    if (fd < 0 || fsync(vault->parent_fd) != 0) {
        int error = errno;
        if (fd >= 0) {
            (void)close(fd);
        }
        return conf_disk_fail(vault->disk, err, "make", FOLDER, error);
    }
    if (!atomic_compare_exchange_strong(&vault->dir_fd, &none, fd)) {
        (void)close(fd);
    }
    return true;
}

bool conf_vault_put(struct conf_vault *vault, struct slice stored, struct slice text,
                    struct err *err)
{
    char name[NAME_MAX_LEN];
    if (!name_of(stored, name)) {
        return err_set(err, ERR_INVALID, "'%.*s' is no name of a stored certificate",
                       SLICE_ARG(stored));
    }
    return conf_vault_has(vault, stored) ||
           (make_folder(vault, err) && conf_disk_replace(vault->disk, vault->dir_fd, name, "key",
                                                         text, CONF_DISK_DURABLE, err));
}

bool conf_vault_read(const struct conf_vault *vault, struct slice stored, struct buf *out,
                     struct err *err)
{
    char name[NAME_MAX_LEN];
    bool missing = vault->dir_fd < 0 || !name_of(stored, name);
    if (!missing && conf_disk_read(vault->disk, vault->dir_fd, name, out, &missing, err)) {
        return true;
    }
    if (missing) {
        (void)err_set(err, ERR_NOT_FOUND, "no certificate '%.*s' is stored here",
                      SLICE_ARG(stored));
    }
    return false;
}

/* -- answers -- */

static bool answer_name(const char *hex, char out[NAME_MAX_LEN])
{
    if (!is_hex(slice_from(hex))) {
        return false;
    }
    (void)snprintf(out, NAME_MAX_LEN, "%.64s.ocsp", hex);
    return true;
}

void conf_vault_put_answer(struct conf_vault *vault, const char *hex, struct slice answer)
{
    char name[NAME_MAX_LEN];
    struct err ignored;
    if (answer_name(hex, name) && make_folder(vault, &ignored)) {
        bool is_kept = conf_disk_replace(vault->disk, vault->dir_fd, name, "answer", answer,
                                         CONF_DISK_LAZY, &ignored);
        (void)is_kept;
    }
}

bool conf_vault_read_answer(const struct conf_vault *vault, const char *hex, struct buf *out)
{
    char name[NAME_MAX_LEN];
    struct err ignored;
    bool missing = false;
    return vault->dir_fd >= 0 && answer_name(hex, name) &&
           conf_disk_read(vault->disk, vault->dir_fd, name, out, &missing, &ignored);
}

/* -- who names what -- */

static int compare(const void *a, const void *b)
{
    return memcmp(a, b, CONF_VAULT_HEX_LEN);
}

static struct names *names_new(uint32_t capacity)
{
    struct names *names = mem_zero(1, sizeof(*names) + capacity * sizeof(struct hex));
    names->refs = 1;
    return names;
}

/* Sorts, and takes out what is there twice. */
static void settle(struct names *names)
{
    uint32_t kept = 0;
    if (names->count > 1) {
        qsort(names->items, names->count, sizeof(struct hex), compare);
    }
    for (uint32_t i = 0; i < names->count; i++) {
        if (kept == 0 || compare(&names->items[kept - 1], &names->items[i]) != 0) {
            names->items[kept++] = names->items[i];
        }
    }
    names->count = kept;
}

static bool is_named_in(const struct names *names, const struct hex *hex)
{
    return names->count != 0 &&
           bsearch(hex, names->items, names->count, sizeof(*hex), compare) != NULL;
}

static bool is_named(const struct conf_vault *vault, const struct hex *hex)
{
    for (uint32_t i = 0; i < vault->count; i++) {
        if (is_named_in(vault->keepers[i].names, hex)) {
            return true;
        }
    }
    return false;
}

static void remove_file(const struct conf_vault *vault, const struct hex *hex)
{
    char name[NAME_MAX_LEN];
    (void)snprintf(name, sizeof(name), "%s.pem", hex->text);
    if (vault->dir_fd >= 0) {
        (void)unlinkat(vault->dir_fd, name, 0);
    }
}

static struct keeper *keeper_of(const struct conf_vault *vault, uint64_t revision)
{
    for (uint32_t i = 0; i < vault->count; i++) {
        if (vault->keepers[i].revision == revision) {
            return &vault->keepers[i];
        }
    }
    return NULL;
}

/* Somebody stopped naming these. */
static void let_go(struct conf_vault *vault, struct names *names)
{
    if (vault->is_settled && names->refs == 1) { /* else others that share it name all of it */
        for (uint32_t i = 0; i < names->count; i++) {
            if (!is_named(vault, &names->items[i])) {
                remove_file(vault, &names->items[i]);
            }
        }
    }
    unref(names);
}

/* Keeps `names`. */
static void note(struct conf_vault *vault, uint64_t revision, struct names *names)
{
    settle(names);
    for (uint32_t i = vault->count; i > 0; i--) { /* mostly the one before */
        struct names *known = vault->keepers[i - 1].names;
        if (known->count == names->count &&
            memcmp(known->items, names->items, names->count * sizeof(struct hex)) == 0) {
            unref(names);
            names = known;
            names->refs++;
            break;
        }
    }
    struct keeper *keeper = keeper_of(vault, revision);
    if (keeper != NULL) {
        struct names *before = keeper->names;
        keeper->names = names;
        let_go(vault, before);
        return;
    }
    vault->keepers = mem_resize(vault->keepers, (vault->count + 1) * sizeof(*vault->keepers));
    vault->keepers[vault->count++] = (struct keeper){.revision = revision, .names = names};
}

void conf_vault_note(struct conf_vault *vault, uint64_t revision, const struct conf *conf)
{
    struct names *names = names_new(conf->certificate_count);
    for (uint32_t i = 0; i < conf->certificate_count; i++) {
        names->count += hex_of(conf->certificates[i].stored, &names->items[names->count]) ? 1 : 0;
    }
    note(vault, revision, names);
}

/* A quote inside of a string is escaped in a canonical text: this is a key and its value. */
static const char pattern[] = "\"stored\":\"" CONF_VAULT_PREFIX;

void conf_vault_note_text(struct conf_vault *vault, uint64_t revision, struct slice text)
{
    struct names *names = names_new(0);
    const char *at = text.len != 0 ? text.ptr : NULL;
    const char *end = text.len != 0 ? text.ptr + text.len : NULL;
    while (at != NULL &&
           (at = memmem(at, (size_t)(end - at), pattern, sizeof(pattern) - 1)) != NULL) {
        at += sizeof(pattern) - 1;
        struct slice hex = slice_of(at, CONF_VAULT_HEX_LEN);
        if ((size_t)(end - at) > CONF_VAULT_HEX_LEN && is_hex(hex)) {
            names = mem_resize(names, sizeof(*names) + (names->count + 1) * sizeof(struct hex));
            memcpy(names->items[names->count].text, hex.ptr, hex.len);
            names->items[names->count++].text[hex.len] = '\0';
        }
    }
    note(vault, revision, names);
}

void conf_vault_forget(struct conf_vault *vault, uint64_t revision)
{
    struct keeper *keeper = keeper_of(vault, revision);
    if (keeper != NULL) {
        struct names *names = keeper->names;
        size_t after = (size_t)(vault->keepers + vault->count - keeper - 1);
        memmove(keeper, keeper + 1, after * sizeof(*keeper));
        vault->count--;
        let_go(vault, names);
    }
}

void conf_vault_drop(struct conf_vault *vault, struct slice stored)
{
    struct hex hex;
    if (vault->is_settled && hex_of(stored, &hex) && !is_named(vault, &hex)) {
        remove_file(vault, &hex);
    }
}

bool conf_vault_is_empty(const struct conf_vault *vault)
{
    return vault->dir_fd < 0;
}

/* Nobody names it, or it was not finished, or is of no use to anybody by now. */
static bool is_rubbish(const struct conf_vault *vault, struct slice name)
{
    struct hex hex = {0};
    struct stat facts;
    char text[NAME_MAX_LEN];
    bool is_key = slice_ends(name, SLICE(".pem"));
    if (slice_ends(name, SLICE(".tmp"))) {
        return true;
    }
    if (name.len >= sizeof(text) || (!is_key && !slice_ends(name, SLICE(".ocsp")))) {
        return false; /* not ours */
    }
    if (is_key) {
        bool is_whole =
            name.len == CONF_VAULT_HEX_LEN + 4 && is_hex(slice_of(name.ptr, CONF_VAULT_HEX_LEN));
        memcpy(hex.text, name.ptr, is_whole ? CONF_VAULT_HEX_LEN : 0);
        return !is_whole || !is_named(vault, &hex);
    }
    memcpy(text, name.ptr, name.len);
    text[name.len] = '\0';
    return fstatat(vault->dir_fd, text, &facts, AT_SYMLINK_NOFOLLOW) == 0 &&
           facts.st_mtim.tv_sec + CONF_VAULT_ANSWER_AGE_S < time(NULL);
}

void conf_vault_sweep(struct conf_vault *vault)
{
    int fd = vault->dir_fd >= 0 ? open_folder(vault) : -1;
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    vault->is_settled = true;
    if (dir == NULL) {
        if (fd >= 0) {
            (void)close(fd);
        }
        return;
    }
    const struct dirent *entry = NULL;
    while ((entry = readdir(dir)) != NULL) {
        if (is_rubbish(vault, slice_from(entry->d_name))) {
            (void)unlinkat(vault->dir_fd, entry->d_name, 0);
        }
    }
    (void)closedir(dir);
}
