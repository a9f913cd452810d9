/*
 * conf_schema - every setting, described once: conf_schema.def as data.
 *
 * Reading, defaults, checks, "did you mean", effective values, the reference, the JSON Schema and
 * `lbctl explain` all walk these tables; no other place knows a key or a default.
 *
 * Memory: constant. Threads: any.
 */
#ifndef CONF_CONF_SCHEMA_H
#define CONF_CONF_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/json/json_write.h"
#include "lbd/base/buf.h"
#include "lbd/base/slice.h"

/* How a value is written in JSON and which member of struct conf_* it fills. */
enum conf_type {
    CONF_TYPE_STRING,      /* struct slice */
    CONF_TYPE_STRING_LIST, /* struct slice * and a uint32_t count */
    CONF_TYPE_INTEGER,     /* uint32_t, or int32_t when is_signed */
    CONF_TYPE_AUTO,        /* "auto" (stored as 0) or an integer: uint32_t */
    CONF_TYPE_WEIGHT,   /* an integer or "25%": uint32_t, and another (count_offset) of the share;
                           one of them is 0 */
    CONF_TYPE_DURATION, /* "250ms": uint32_t of milliseconds */
    CONF_TYPE_SIZE,     /* "64KiB": uint32_t of bytes, or uint64_t when is_wide */
    CONF_TYPE_BOOL,     /* true or false: uint32_t, 1 or 0 */
    CONF_TYPE_ENUM,     /* one of `words`: an enum */
    CONF_TYPE_STATUS_LIST, /* ["2xx", 204]: uint8_t bits of classes; uint16_t * of exact codes and a
                              count */
    CONF_TYPE_HEADERS,     /* {"Name": "value"}: struct conf_header * and a count */
    CONF_TYPE_WEIGHTS, /* {"name": 10}: struct conf_weight * and a count; refers_to is of names */
    CONF_TYPE_LABELS,  /* {"key": "value"}: struct slice of canonical JSON */
    CONF_TYPE_OBJECT,  /* a nested object of fixed keys: a struct in place */
    CONF_TYPE_MAP /* named members of one kind: an array of structs, sorted by name, and a count */
};

/* What a string must look like beyond being a string; conf_format.c knows. */
enum conf_format {
    CONF_FORMAT_TEXT,             /* no control characters but tab and newline */
    CONF_FORMAT_NAME,             /* [a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])? */
    CONF_FORMAT_BIND,             /* "ip:port" (port 0 allowed), "unix:/path" */
    CONF_FORMAT_SERVER_ADDRESS,   /* "host:port", "[v6]:port", "unix:/path" */
    CONF_FORMAT_HOST_PATTERN,     /* "www.example.com", "*.example.com"; stored in lower case */
    CONF_FORMAT_HOST,             /* a host, with or without a port */
    CONF_FORMAT_PATH,             /* begins with '/', normalised as requests are, no query */
    CONF_FORMAT_CHECK_TARGET,     /* begins with '/', may hold a query */
    CONF_FORMAT_METHOD,           /* an HTTP method in capitals */
    CONF_FORMAT_ANY_METHOD,       /* the same, also CONNECT and its like, and with '-' */
    CONF_FORMAT_PATH_TEMPLATE,    /* "/users/{id}", "/files/{rest*}" */
    CONF_FORMAT_PATH_FILL,        /* a path that may hold {variables} */
    CONF_FORMAT_HEADER_NAME,      /* the name of a header that is not lbd's own */
    CONF_FORMAT_MATCH_NAME,       /* of a cookie or a parameter; HEADERS: its members are such */
    CONF_FORMAT_HEADER_VALUE,     /* no CR, LF, NUL or other control characters */
    CONF_FORMAT_REALM,            /* one line without '"' and backslash */
    CONF_FORMAT_LOCATION,         /* a URI or a path, may hold {path} */
    CONF_FORMAT_BODY,             /* any text */
    CONF_FORMAT_ESCAPED,          /* bytes as lbd/base/escape has them: "PING\\r\\n" */
    CONF_FORMAT_IP,               /* "10.0.0.1", "::1" */
    CONF_FORMAT_IP_PORT,          /* "ip:port", not port 0 */
    CONF_FORMAT_IP_PORT_OR_UNIX,  /* "ip:port" (port 0 allowed) or "unix:/path" */
    CONF_FORMAT_CERTIFICATE_NAME, /* "DNS:", "URI:", "email:" or "CN:" and a pattern */
    CONF_FORMAT_CIDR_OR_UNIX,     /* "10.0.0.0/8", "::1", "unix" */
    CONF_FORMAT_ALPN,             /* the name of a protocol, printable: "h2" */
    CONF_FORMAT_PIN,              /* base64 of 32 bytes */
    CONF_FORMAT_STORED,           /* "sha256:" and 64 hexadecimal digits */
    CONF_FORMAT_MAIL_KEY,         /* a user, a domain, a pattern: any text of one line */
    CONF_FORMAT_MAIL_DOMAIN,      /* "example.com"; stored in lower case */
    CONF_FORMAT_MECHANISM,        /* "plain", "login", "xoauth2", "oauthbearer", "external" */
    CONF_FORMAT_ACCESS_HEADER,    /* the name of any header */
    CONF_FORMAT_ACCESS_FIELD,     /* a name of conf_access_fields.def */
    CONF_FORMAT_ENCODING,         /* "zstd", "br", "gzip" */
    CONF_FORMAT_RETRY,            /* "connect", "reset", "timeout", "5xx", "400" to "599" */
    CONF_FORMAT_PROXY_TLV,        /* "alpn", "authority", "unique_id", "ssl", "crc32c" */
    CONF_FORMAT_URL,              /* "http://host/path", "https://..." */
    CONF_FORMAT_FILE              /* a path */
};

struct conf_object;

struct conf_field {
    const char *key;
    enum conf_type type;
    enum conf_format format; /* MAP: of its members' names; TEXT stands for NAME there */
    size_t offset; /* of the member in the struct of the object; 0 for objects that share it */
    bool is_wide;  /* the member has 64 bits */
    size_t count_offset;    /* lists and maps: of the count */
    size_t codes_offset;    /* STATUS_LIST: of the list of codes */
    bool has_presence;      /* OBJECT: whether it is there matters, even without a key in it: */
    size_t presence_offset; /* a uint32_t, 1 or 0 */
    bool required;          /* there is no default */
    bool is_signed;
    int64_t min,
        max; /* numbers in base units (ms, bytes); strings: bytes; lists and maps: length */
    int64_t
        preset; /* the default: numbers in base units, BOOL 0 or 1, ENUM the index of the word */
    const char *preset_text;          /* the default of strings; of STATUS_LIST its only element */
    const char *const *words;         /* ENUM; INTEGER: the numbers allowed; ends with NULL */
    const struct conf_object *object; /* OBJECT, MAP */
    const char *refers_to;            /* the top-level map in which this name must exist, or NULL */
    const char *only_when_key;        /* or NULL: allowed only when that ENUM beside it ... */
    const char *only_when_word;       /* ... has this word */
    uint8_t choice; /* not 0: excludes the fields with another choice; its number */
    const char *doc;
    const char *example; /* JSON */
    const char *since;   /* version */
};

enum conf_choice { CONF_CHOICE_ANY, CONF_CHOICE_AT_MOST_ONE, CONF_CHOICE_EXACTLY_ONE };

#define CONF_SCHEMA_FIELDS_MAX 64 /* of one object */
#define CONF_SCHEMA_MAPS_MAX   16 /* of one object */

struct conf_object {
    const char *name;  /* "pool.timeouts"; "" for the document */
    const char *title; /* the heading of its table */
    const char *doc;
    const struct conf_field *fields;
    size_t field_count;
    size_t size;           /* of the struct */
    bool is_named;         /* a member of a map: */
    size_t name_offset;    /* of its name */
    size_t version_offset; /* of its uint64_t version */
    enum conf_choice choice;
    bool has_chosen;
    size_t chosen_offset; /* where choice - 1 goes: an enum */
};

extern const struct conf_object *const conf_schema_document;    /* struct conf */
extern const struct conf_object *const conf_schema_daemon;      /* struct conf_daemon */
extern const struct conf_object *const conf_schema_certificate; /* struct conf_certificate */

/* NULL: unknown key. */
const struct conf_field *conf_schema_find(const struct conf_object *object, struct slice key);
/* What the names of a MAP's members look like. */
static inline enum conf_format conf_schema_name_format(const struct conf_field *map)
{
    return map->format == CONF_FORMAT_TEXT ? CONF_FORMAT_NAME : map->format;
}
/* The object or field at a path of keys without names: "pools.servers.weight", "daemon.log", "" for
 * the document. Field is NULL for "". False: there is none. */
bool conf_schema_lookup(struct slice path, const struct conf_object **object,
                        const struct conf_field **field);
/* "An integer", "A duration such as \"250ms\"", ... */
const char *conf_schema_type_text(const struct conf_field *field);
/* The default as JSON text; false: there is none. */
bool conf_schema_default_text(const struct conf_field *field, struct buf *out);
/* "1 to 1000", "100ms to 1h", "one of \"ready\", ..."; false: nothing to say. */
bool conf_schema_range_text(const struct conf_field *field, struct buf *out);

/* Does its object follow as a section of its own? One that several fields share does after the
 * first of them; "meta", which all share, stands apart. */
bool conf_schema_has_section(const struct conf_field *field);
/* Every setting as Markdown: docs/reference.md. */
void conf_schema_write_markdown(struct buf *out);
/* The same as sections of a manual page: docs/man/lbd.json.5. */
void conf_schema_write_mdoc(struct buf *out);
/* A JSON Schema (2020-12) of the file, for editors and tests. */
void conf_schema_write_json(struct buf *out);
/* "PoolTimeouts": what an object is called in a JSON Schema; the document is "Config". */
#define CONF_SCHEMA_NAME_MAX 64
void conf_schema_object_name(const struct conf_object *object, char out[CONF_SCHEMA_NAME_MAX]);
/* `object` and all that is below it, as members of an open object: "Pool": {schema}, ... They refer
 * to each other as prefix + name. */
void conf_schema_write_definitions(struct json_write *w, const struct conf_object *object,
                                   const char *prefix);

#endif
