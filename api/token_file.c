#include "api/token_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/conf_format.h"
#include "lbd/base/mem.h"
#include "lbd/base/num.h"
#include "lbd/base/random.h"

#define SECRET_BYTES 32

/* What tells one state of a file from another. */
struct stamp {
    bool exists;
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec changed;
};

struct token_file {
    char *path;
    char *folder;
    struct token_list list;
    struct stamp stamp; /* of what was looked at last, good or bad */
};

/* -- words and times -- */

static const struct {
    const char *word;
    enum api_role role;
} roles[] = {{"metrics", API_ROLE_METRICS},
             {"read", API_ROLE_READ},
             {"operate", API_ROLE_OPERATE},
             {"admin", API_ROLE_ADMIN}};

bool token_file_role_parse(struct slice word, enum api_role *out)
{
    for (size_t i = 0; i < ARRAY_LEN(roles); i++) {
        if (slice_eq(word, slice_from(roles[i].word))) {
            *out = roles[i].role;
            return true;
        }
    }
    return false;
}

void token_file_time_write(uint64_t wall_s, char out[32])
{
    time_t seconds = (time_t)wall_s;
    struct tm parts;
    (void)gmtime_r(&seconds, &parts);
    (void)strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &parts);
}

static bool digits(struct slice text, size_t at, size_t len, int *out)
{
    uint64_t value = 0;
    if (at + len > text.len || !num_parse_u64(slice_of(text.ptr + at, len), &value)) {
        return false;
    }
    *out = (int)value;
    return true;
}

/* RFC 3339 5.6, in UTC only */
bool token_file_time_parse(struct slice text, uint64_t *out_s)
{
    struct tm parts = {0};
    struct tm back;
    if (text.len < 20 || text.len > 30 || text.ptr[4] != '-' || text.ptr[7] != '-' ||
        text.ptr[10] != 'T' || text.ptr[13] != ':' || text.ptr[16] != ':' ||
        text.ptr[text.len - 1] != 'Z' || !digits(text, 0, 4, &parts.tm_year) ||
        !digits(text, 5, 2, &parts.tm_mon) || !digits(text, 8, 2, &parts.tm_mday) ||
        !digits(text, 11, 2, &parts.tm_hour) || !digits(text, 14, 2, &parts.tm_min) ||
        !digits(text, 17, 2, &parts.tm_sec)) {
        return false;
    }
    uint64_t fraction = 0;
    if (text.len > 20 && (text.ptr[19] != '.' ||
                          !num_parse_u64(slice_of(text.ptr + 20, text.len - 21), &fraction))) {
        return false;
    }
    parts.tm_year -= 1900;
    parts.tm_mon -= 1;
    back = parts;
    time_t seconds = timegm(&back);
    if (seconds <= 0 || back.tm_mon != parts.tm_mon || back.tm_mday != parts.tm_mday ||
        back.tm_hour != parts.tm_hour || back.tm_min != parts.tm_min ||
        back.tm_sec != parts.tm_sec) {
        return false; /* the 31st of February */
    }
    *out_s = (uint64_t)seconds;
    return true;
}

/* -- lines -- */

static bool parse_hash(struct slice text, uint8_t out[DIGEST_SHA256_BYTES])
{
    if (text.len != (size_t)2 * DIGEST_SHA256_BYTES) {
        return false;
    }
    for (size_t i = 0; i < DIGEST_SHA256_BYTES; i++) {
        uint64_t byte = 0;
        if (!num_parse_hex(slice_of(text.ptr + 2 * i, 2), &byte)) {
            return false;
        }
        out[i] = (uint8_t)byte;
    }
    return true;
}

/* The next word of a line; empty: there is none. */
static struct slice take_word(struct slice *line)
{
    *line = slice_trim(*line);
    size_t end = 0;
    while (end < line->len && line->ptr[end] != ' ' && line->ptr[end] != '\t') {
        end++;
    }
    struct slice word = slice_of(line->ptr, end);
    *line = slice_trim(slice_from_at(*line, end));
    return word;
}

static const char *parse_line(struct slice line, struct token *token)
{
    struct slice id = take_word(&line);
    struct slice role = take_word(&line);
    struct slice hash = take_word(&line);
    struct slice expires = take_word(&line);
    memset(token, 0, sizeof(*token));
    if (!conf_format_is_name(id)) {
        return "the id must be a name: a-z, 0-9 and inside also . _ -, at most 63 characters";
    }
    if (!token_file_role_parse(role, &token->role)) {
        return "the role must be metrics, read, operate or admin";
    }
    if (!parse_hash(hash, token->hash)) {
        return "the hash must be 64 hexadecimal digits (SHA-256 of the token)";
    }
    if (!slice_eq(expires, SLICE("-")) && !token_file_time_parse(expires, &token->expires_s)) {
        return "the expiry must be - or a time such as 2027-01-31T00:00:00Z";
    }
    if (line.len >= TOKEN_FILE_NOTE_MAX || conf_format_problem(CONF_FORMAT_FILE, line) != NULL) {
        return "the note must be at most 200 bytes without control characters";
    }
    memcpy(token->id, id.ptr, id.len);
    memcpy(token->note, line.len != 0 ? line.ptr : "", line.len);
    return NULL;
}

static struct token *find_id(const struct token_list *list, struct slice id)
{
    for (uint32_t i = 0; i < list->count; i++) {
        if (slice_eq(slice_from(list->items[i].id), id)) {
            return &list->items[i];
        }
    }
    return NULL;
}

bool token_file_parse(struct slice text, struct token_list *list, struct err *err)
{
    struct slice rest = text;
    struct slice line;
    uint32_t number = 0;
    const char *problem = NULL;
    *list = (struct token_list){0};
    while (problem == NULL && rest.len != 0 && slice_split(&rest, '\n', &line)) {
        struct token token;
        number++;
        line = slice_trim(line);
        if (line.len != 0 && line.ptr[line.len - 1] == '\r') {
            line = slice_trim(slice_of(line.ptr, line.len - 1));
        }
        if (line.len == 0 || line.ptr[0] == '#') {
            continue;
        }
        problem = parse_line(line, &token);
        if (problem == NULL && find_id(list, slice_from(token.id)) != NULL) {
            problem = "the id stands twice";
        }
        if (problem == NULL && list->count == TOKEN_FILE_COUNT_MAX) {
            problem = "there are more than 4096 tokens";
        }
        if (problem == NULL) {
            list->items = mem_resize(list->items, (list->count + 1) * sizeof(*list->items));
            list->items[list->count++] = token;
        }
    }
    if (problem != NULL) {
        token_file_list_fini(list);
        return err_set(err, ERR_INVALID, "line %u: %s", number, problem);
    }
    return true;
}

void token_file_write(const struct token_list *list, struct buf *out)
{
    (void)buf_append_text(out, "# id role sha256 expires note; written by lbd\n");
    for (uint32_t i = 0; i < list->count; i++) {
        const struct token *token = &list->items[i];
        char expires[32] = "-";
        (void)buf_printf(out, "%s %s ", token->id, api_request_role_word(token->role));
        for (size_t b = 0; b < DIGEST_SHA256_BYTES; b++) {
            (void)buf_printf(out, "%02x", token->hash[b]);
        }
        if (token->expires_s != 0) {
            token_file_time_write(token->expires_s, expires);
        }
        (void)buf_printf(out, " %s%s%s\n", expires, token->note[0] != '\0' ? " " : "", token->note);
    }
}

void token_file_list_fini(struct token_list *list)
{
    free(list->items);
    *list = (struct token_list){0};
}

/* -- the file -- */

static bool stamp_is_same(const struct stamp *a, const struct stamp *b)
{
    return a->exists == b->exists &&
           (!a->exists ||
            (a->device == b->device && a->inode == b->inode && a->size == b->size &&
             a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec));
}

static struct stamp stamp_of(const struct stat *found)
{
    return (struct stamp){.exists = true,
                          .device = found->st_dev,
                          .inode = found->st_ino,
                          .size = found->st_size,
                          .changed = found->st_ctim};
}

/* Others could let themselves in. */
static bool is_ours(const struct stat *found)
{
    return (found->st_uid == 0 || found->st_uid == geteuid()) &&
           (found->st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

static bool read_text(int fd, struct buf *text)
{
    ssize_t got = 0;
    do {
        if (!buf_reserve(text, 65536)) {
            errno = EFBIG;
            return false;
        }
        got = read(fd, text->data + text->len, 65536);
        text->len += got > 0 ? (size_t)got : 0;
    } while (got > 0 || (got < 0 && errno == EINTR));
    return got == 0;
}

/* Fills list and stamp with what is there. False: the stamp tells of what was bad. */
static bool load(const char *path, struct token_list *list, struct stamp *stamp, struct err *err)
{
    struct stat found;
    struct err why = {0};
    struct buf text;
    bool ok = false;
    *list = (struct token_list){0};
    *stamp = (struct stamp){0};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 && errno == ENOENT) {
        return true;
    }
    buf_init(&text, TOKEN_FILE_BYTES_MAX + 65536);
    if (fd < 0 || fstat(fd, &found) != 0) {
        (void)err_set(err, ERR_SYSTEM, "cannot open '%s' (daemon.api.tokens_file): %s", path,
                      strerror(errno));
        goto out;
    }
    *stamp = stamp_of(&found);
    if (!S_ISREG(found.st_mode) || !is_ours(&found)) {
        (void)err_set(err, ERR_DENIED,
                      "'%s' (daemon.api.tokens_file) must be a file that only its owner may write, "
                      "and the owner must be root or lbd's user",
                      path);
    } else if (!read_text(fd, &text) || text.len > TOKEN_FILE_BYTES_MAX) {
        (void)err_set(err, ERR_SYSTEM, "cannot read '%s' (daemon.api.tokens_file): %s", path,
                      strerror(text.len > TOKEN_FILE_BYTES_MAX ? EFBIG : errno));
    } else if (!token_file_parse(buf_slice(&text), list, &why)) {
        (void)err_set(err, ERR_INVALID, "'%s' (daemon.api.tokens_file), %s", path, why.text);
    } else {
        ok = true;
    }
out:
    buf_fini(&text);
    if (fd >= 0) {
        (void)close(fd);
    }
    return ok;
}

struct token_file *token_file_open(const char *path, struct err *err)
{
    struct token_file *file = mem_zero(1, sizeof(*file));
    const char *slash = strrchr(path, '/');
    file->path = mem_strdup(path);
    file->folder = slash == NULL
                       ? mem_strdup(".")
                       : mem_slicedup(slice_of(path, slash == path ? 1 : (size_t)(slash - path)));
    if (!load(path, &file->list, &file->stamp, err)) {
        token_file_close(file);
        return NULL;
    }
    return file;
}

void token_file_close(struct token_file *file)
{
    if (file != NULL) {
        token_file_list_fini(&file->list);
        free(file->path);
        free(file->folder);
        free(file);
    }
}

enum token_file_news token_file_refresh(struct token_file *file, struct err *err)
{
    struct stat found;
    struct stamp stamp = {0};
    struct token_list list;
    if (stat(file->path, &found) == 0) {
        stamp = stamp_of(&found);
    } else if (errno != ENOENT && errno != ENOTDIR) {
        return TOKEN_FILE_SAME; /* its folder is closed to us for a while: nothing is known to be
                                   new */
    }
    if (stamp_is_same(&stamp, &file->stamp)) {
        return TOKEN_FILE_SAME;
    }
    if (!load(file->path, &list, &file->stamp, err)) {
        file->stamp = stamp; /* told once */
        return TOKEN_FILE_BAD;
    }
    token_file_list_fini(&file->list);
    file->list = list;
    return TOKEN_FILE_READ;
}

const struct token_list *token_file_tokens(const struct token_file *file)
{
    return &file->list;
}

static bool looks_like_secret(struct slice text)
{
    return text.len == TOKEN_FILE_SECRET_MAX - 1 && slice_starts(text, SLICE("lbd_"));
}

enum token_file_verdict token_file_find(const struct token_file *file, struct slice secret,
                                        uint64_t now_s, const struct token **out)
{
    uint8_t hash[DIGEST_SHA256_BYTES];
    const struct token *found = NULL;
    if (!looks_like_secret(secret)) {
        return TOKEN_FILE_UNKNOWN;
    }
    digest_sha256(secret, hash);
    for (uint32_t i = 0; i < file->list.count; i++) {
        if (digest_equal(hash, file->list.items[i].hash, sizeof(hash))) {
            found = &file->list.items[i];
        }
    }
    *out = found;
    if (found == NULL) {
        return TOKEN_FILE_UNKNOWN;
    }
    return found->expires_s != 0 && found->expires_s <= now_s ? TOKEN_FILE_EXPIRED
                                                              : TOKEN_FILE_FOUND;
}

/* -- changes -- */

static bool write_all(int fd, struct slice text)
{
    while (text.len != 0) {
        ssize_t done = write(fd, text.ptr, text.len);
        if (done < 0 && errno == EINTR) {
            continue;
        }
        if (done <= 0) {
            return false;
        }
        text = slice_from_at(text, (size_t)done);
    }
    return true;
}

static bool sync_folder(const char *folder)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool ok = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0) {
        (void)close(fd);
    }
    return ok;
}

/* When it returns true the list survives the loss of power. */
static bool save(struct token_file *file, const struct token_list *list, struct err *err)
{
    struct buf text;
    struct buf path;
    struct stat found;
    bool ok = false;
    buf_init(&text, TOKEN_FILE_BYTES_MAX);
    buf_init(&path, 4200);
    token_file_write(list, &text);
    (void)buf_printf(&path, "%s.new", file->path);
    int fd = -1;
    if (text.overflow || path.overflow) {
        (void)err_set(err, ERR_CONFLICT, "the tokens and their notes take more than 1 MiB");
        goto out;
    }
    (void)unlink(path.data); /* of a life that ended between write and rename */
    fd = open(path.data, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd >= 0 && write_all(fd, buf_slice(&text)) && fsync(fd) == 0 && fstat(fd, &found) == 0 &&
        rename(path.data, file->path) == 0) {
        ok = sync_folder(file->folder) && stat(file->path, &found) == 0;
        file->stamp = stamp_of(&found);
    }
    if (!ok) {
        (void)err_set(err, ERR_STORAGE, "cannot save '%s' (daemon.api.tokens_file): %s", file->path,
                      strerror(errno));
        (void)unlink(path.data);
    }
out:
    if (fd >= 0) {
        (void)close(fd);
    }
    buf_fini(&path);
    buf_fini(&text);
    return ok;
}

/* base64url without padding (RFC 4648 5) */
static void make_secret(char out[TOKEN_FILE_SECRET_MAX])
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint8_t bytes[SECRET_BYTES];
    char *at = stpcpy(out, "lbd_");
    uint32_t bits = 0;
    unsigned held = 0;
    random_bytes(bytes, sizeof(bytes));
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bits = bits << 8 | bytes[i];
        held += 8;
        while (held >= 6) {
            held -= 6;
            *at++ = letters[bits >> held & 0x3F];
        }
    }
    *at++ = letters[bits << (6 - held) & 0x3F];
    *at = '\0';
    mem_wipe(bytes, sizeof(bytes));
}

static struct token_list copy_list(const struct token_list *list)
{
    struct token_list copy = {.items = mem_zero(list->count + 1, sizeof(*copy.items)),
                              .count = list->count};
    if (list->count != 0) {
        memcpy(copy.items, list->items, list->count * sizeof(*copy.items));
    }
    return copy;
}

static bool keep(struct token_file *file, struct token_list *fresh, struct err *err)
{
    if (!save(file, fresh, err)) {
        token_file_list_fini(fresh);
        return false;
    }
    token_file_list_fini(&file->list);
    file->list = *fresh;
    return true;
}

bool token_file_put(struct token_file *file, const struct token *wish,
                    char secret[TOKEN_FILE_SECRET_MAX], struct err *err)
{
    struct token_list fresh = copy_list(&file->list);
    struct token *place = find_id(&fresh, slice_from(wish->id));
    if (place == NULL && fresh.count == TOKEN_FILE_COUNT_MAX) {
        token_file_list_fini(&fresh);
        return err_set(err, ERR_CONFLICT, "there are %u tokens: revoke some", TOKEN_FILE_COUNT_MAX);
    }
    if (place == NULL) {
        place = &fresh.items[fresh.count++];
    }
    *place = *wish;
    make_secret(secret);
    digest_sha256(slice_from(secret), place->hash);
    return keep(file, &fresh, err);
}

bool token_file_remove(struct token_file *file, struct slice id, struct err *err)
{
    struct token_list fresh = copy_list(&file->list);
    struct token *place = find_id(&fresh, id);
    if (place == NULL) {
        token_file_list_fini(&fresh);
        return err_set(err, ERR_NOT_FOUND, "no token '%.*s'", SLICE_ARG(id));
    }
    size_t index = (size_t)(place - fresh.items);
    memmove(place, place + 1, (fresh.count - index - 1) * sizeof(*place));
    fresh.count--;
    return keep(file, &fresh, err);
}
