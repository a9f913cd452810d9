/*
 * mail_map - where users go, as the document's maps have it: who of a map's entries speaks for a
 * name?
 *
 *     exact    the user's whole name
 *     domain   what is behind its last @
 *     prefix   how it begins; the longest that fits
 *     regex    POSIX extended; by priority, then in the order of the names
 *
 * Of the first three the document is the table: its entries are sorted, a look-up is a binary
 * search. Patterns are compiled once on control and shared by all snapshots with the same version
 * of the map. regexec may run on several workers at once (glibc locks inside). What one costs is
 * bounded: conf_check refuses back-references and large repeats, names have at most MAIL_USER_MAX
 * bytes.
 *
 * Memory: patterns are counted; the document outlives the map. Threads: made on control; read by
 * any.
 */
#ifndef LBD_MAIL_MAIL_MAP_H
#define LBD_MAIL_MAIL_MAP_H

#include <stdbool.h>

#include "conf/conf.h"
#include "lbd/base/compiler.h"
#include "lbd/base/slice.h"
#include "lbd/mail/mail_name.h"

#define MAIL_MAP_GROUPS 9U

struct mail_patterns; /* the compiled ones of a map of type regex */

struct mail_map {
    const struct conf_mail_map *conf;
    struct mail_patterns *patterns; /* referenced; NULL: of another type */
};

/* conf is borrowed. `same`: a map made earlier of the same name, to share with; NULL: none. */
void mail_map_init(struct mail_map *map, const struct conf_mail_map *conf,
                   const struct mail_map *same);
/* Drops the patterns. Also one that is zeroed. */
void mail_map_fini(struct mail_map *map);

/* What a pattern caught. */
struct mail_map_groups {
    struct slice list[MAIL_MAP_GROUPS]; /* parts of the name; empty: none */
};

/* The entry for a normalised name, or NULL. `groups` is set with an entry of a regex, else empty.
 */
const struct conf_mail_entry *mail_map_find(const struct mail_map *map,
                                            const struct mail_name_parts *name,
                                            struct mail_map_groups *groups);

#endif
