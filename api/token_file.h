/*
 * token_file - the tokens that let somebody in, hashed, in a file of lines.
 *
 *     id role sha256hex expires note
 *
 *     deploy admin 9f86d0...0a08 2027-01-31T00:00:00Z the pipeline of the shop
 *     prom metrics 60303a...e752 -
 *
 * A token is "lbd_" and 32 random bytes in base64url. Because nobody can guess that many bits, one
 * SHA-256 is enough of a hash, and a wrong token costs no more than a right one: all lines are
 * compared, each in constant time. Whoever reads the file can let nobody in.
 *
 * The file is read again when it changed; a file that cannot be read then, or holds a mistake,
 * leaves the tokens as they are, and that is said once. A change by the API writes a new file,
 * fsyncs it, renames it over the old one and fsyncs the folder; comments are not kept.
 *
 * Limits: 4,096 tokens, 1 MiB. Memory: owns its lists. Threads: control.
 */
#ifndef API_TOKEN_FILE_H
#define API_TOKEN_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "api/api_request.h"
#include "lbd/base/buf.h"
#include "lbd/base/compiler.h"
#include "lbd/base/err.h"
#include "lbd/base/slice.h"
#include "lbd/tls/digest.h"

#define TOKEN_FILE_ID_MAX     64  /* with its NUL */
#define TOKEN_FILE_NOTE_MAX   201 /* with its NUL */
#define TOKEN_FILE_COUNT_MAX  4096U
#define TOKEN_FILE_BYTES_MAX  (1024U * 1024U)
#define TOKEN_FILE_SECRET_MAX 48 /* "lbd_", 43 characters and a NUL */

struct token {
    char id[TOKEN_FILE_ID_MAX];
    enum api_role role;
    uint8_t hash[DIGEST_SHA256_BYTES]; /* SHA-256 of the whole token, "lbd_" included */
    uint64_t expires_s;                /* since 1970; 0: never */
    char note[TOKEN_FILE_NOTE_MAX];
};

struct token_list {
    struct token *items;
    uint32_t count;
};

/* Reads the text of such a file. False: *err names the line; nothing is left in *list. */
LB_MUST_CHECK bool token_file_parse(struct slice text, struct token_list *list, struct err *err);
void token_file_write(const struct token_list *list, struct buf *out);
void token_file_list_fini(struct token_list *list);

/* "metrics", "read", "operate", "admin" */
LB_MUST_CHECK bool token_file_role_parse(struct slice word, enum api_role *out);
/* "2027-01-31T00:00:00Z" and back (seconds since 1970; a fraction is cut). */
void token_file_time_write(uint64_t wall_s, char out[32]);
LB_MUST_CHECK bool token_file_time_parse(struct slice text, uint64_t *out_s);

struct token_file;

/* A file that is not there is one without tokens. NULL: it is there and cannot be read. */
LB_MUST_CHECK struct token_file *token_file_open(const char *path, struct err *err);
void token_file_close(struct token_file *file); /* NULL is fine */

enum token_file_news { TOKEN_FILE_SAME, TOKEN_FILE_READ, TOKEN_FILE_BAD };
/* Looks whether the file changed and reads it then. BAD, once for each change: *err says why the
 * tokens are those of before. */
enum token_file_news token_file_refresh(struct token_file *file, struct err *err);
const struct token_list *token_file_tokens(const struct token_file *file);

enum token_file_verdict { TOKEN_FILE_FOUND, TOKEN_FILE_UNKNOWN, TOKEN_FILE_EXPIRED };
enum token_file_verdict token_file_find(const struct token_file *file, struct slice secret,
                                        uint64_t now_s, const struct token **out);

/* Makes a token (or a new secret for the one that has this id) and saves it. False: ERR_STORAGE or
 * ERR_CONFLICT (too many), and nothing changed. */
LB_MUST_CHECK bool token_file_put(struct token_file *file, const struct token *wish,
                                  char secret[TOKEN_FILE_SECRET_MAX], struct err *err);
/* ERR_NOT_FOUND, ERR_STORAGE. */
LB_MUST_CHECK bool token_file_remove(struct token_file *file, struct slice id, struct err *err);

#endif
