/*
 * mail_name - the name by which lbd knows a user, and its parts.
 *
 *     "Joe+lists@Example.COM"    joe@example.com       (strip_extension "+")
 *     "joe"                      joe@example.com       (default_domain "example.com")
 *     "joe@example.com*chief"    joe@example.com       (master_separator "*")
 *
 * Everything that asks where a user goes asks by this name: maps, mail_users, the affinity table,
 * limits and bans. What the server gets is what the client sent, unless something says otherwise.
 *
 * Letters are ASCII's: bytes of other letters stay as they are. Domains are always lower case.
 *
 * Limits: MAIL_USER_MAX bytes come out, or nothing. Memory: none. Threads: any.
 */
#ifndef LBD_MAIL_MAIL_NAME_H
#define LBD_MAIL_MAIL_NAME_H

#include <stdbool.h>
#include <stddef.h>

#include "lbd/base/compiler.h"
#include "lbd/base/slice.h"
#include "lbd/mail/mail_protocol.h"

/* How a listener makes names. */
struct mail_name_rules {
    struct slice default_domain; /* of names without one; empty: none */
    char extension;              /* cuts the local part from here on; 0: nothing does */
    char separator;              /* cuts the name from its first on; 0: nothing does */
    bool keeps_case;             /* of the local part */
};

struct mail_name {
    size_t len;
    char text[MAIL_USER_MAX];
};

/* The parts of a normalised name, which they lie in. */
struct mail_name_parts {
    struct slice user; /* all of it */
    struct slice local;
    struct slice domain; /* behind the last @; empty: none */
};

/* False: nothing in it is a name (no local part, "joe@"), or it becomes too long. */
LB_MUST_CHECK bool mail_name_make(const struct mail_name_rules *rules, struct slice user,
                                  struct mail_name *out);
struct mail_name_parts mail_name_parts(struct slice name);

static inline struct slice mail_name_slice(const struct mail_name *name)
{
    return slice_of(name->text, name->len);
}

/* The name at the server: {user}, {local}, {domain} and {1} to {9} of `form` are replaced, other
 * braces stay. groups: nine, or NULL; empty where a pattern had none. False: it becomes empty or
 * longer than MAIL_USER_MAX. */
LB_MUST_CHECK bool mail_name_expand(struct slice form, const struct mail_name_parts *parts,
                                    const struct slice *groups, struct mail_name *out);

#endif
