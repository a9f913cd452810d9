/*
 * conf_files - one configuration in several files: the main one, and those that lie beside it.
 *
 *     lbd.json { daemon, schema, listeners, pools }      conf.d/shop.json { routes, pools }
 *                          \                                  /
 *                           one tree: the members of each map together
 *
 * No file goes over another: a name that stands in two of them is an error that says both places.
 * `daemon` and `schema` belong to the main file alone. What is found wrong later in the tree is
 * given back to the file that it came from, with line and column there.
 *
 *     conf_files_merge --> tree --> read, checked --> conf_files_locate
 *
 * Limits: CONF_FILES_MAX files; json_limits_document for each, its bytes for all together.
 * Memory: paths and texts are borrowed until _fini. Threads: any, one owner.
 */
#ifndef CONF_CONF_FILES_H
#define CONF_CONF_FILES_H

#include <stdint.h>

#include "conf/conf_errors.h"
#include "conf/json/json.h"
#include "lbd/base/compiler.h"
#include "lbd/base/map.h"
#include "lbd/base/slice.h"

#define CONF_FILES_MAX 1000

struct conf_file_text {
    struct slice path; /* as errors show it */
    struct slice text; /* JSONC */
};

struct conf_files {
    const struct conf_file_text *files; /* [0] is the main one */
    uint32_t count;
    struct map origins; /* "/pools/shop" -> the file that has it, as one of `files` */
};

void conf_files_init(struct conf_files *set, const struct conf_file_text *files, uint32_t count);
void conf_files_fini(struct conf_files *set);
/* One tree of all files. NULL: one of them is no JSON. Everything that is wrong is in *errors; when
 * that is no more than a name too many, there is a tree all the same. The caller owns it. */
LB_MUST_CHECK struct json *conf_files_merge(struct conf_files *set, struct conf_errors *errors);
/* Every entry that has no file yet gets its file, line and column. */
void conf_files_locate(const struct conf_files *set, struct conf_errors *errors);

#endif
