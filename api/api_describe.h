/*
 * api_describe - the words that go with the rows of the API's table: what each method does, takes
 * and answers. api_describe.def and api_schemas.def as data.
 *
 *     api_table (router)   +  api_describe (texts, documents)  +  conf_schema (settings)
 *                          \________________ api_openapi: /v1/openapi.json
 *
 * A test fails when a row and its description are not there together.
 *
 * Types of documents are written in a small language:
 *
 *     string integer signed number boolean null time duration name any object
 *     Pool        a document of this name, of api_schemas.def or of the settings
 *     [T]  {T}    a list; an object of T by name
 *     up|down     one of these words;  string|null, Pool|DryRun: one of these types
 *
 * Memory: constant. Threads: any.
 */
#ifndef API_API_DESCRIBE_H
#define API_API_DESCRIBE_H

#include <stddef.h>

#include "api/api_request.h"

/* A member of a document. */
struct api_member {
    const char *key; /* "since"; "since?": may be missing */
    const char *type;
    const char *doc;
};

/* A document that is not configuration: what it is and what is in it. */
struct api_schema {
    const char *name; /* "PoolStatus" */
    const char *doc;
    const struct api_member *members; /* the last one has no key */
};

/* One method of one row. */
struct api_operation {
    enum api_method method;
    const char *pattern; /* as in the row */
    const char *id;      /* "getPool", unique */
    const char *tag;
    const char *summary;
    const char *doc;      /* NULL: the summary says it all */
    const char *request;  /* type of the body; NULL: none */
    const char *example;  /* such a body, JSON; NULL: a resource, its setting has one */
    const char *answers;  /* "200 Pool|DryRun; 201 Pool; 204": status and type of each */
    const char *failures; /* statuses of problems beyond the usual ones, "410"; NULL: none */
    const char *media;    /* of the answers, one or several; NULL: application/json */
};

/* A parameter of the query. */
struct api_parameter {
    const char *name;
    const char *pattern; /* only there; NULL: wherever a row has it and no other entry fits */
    const char *type;
    const char *doc;
    const char *example; /* as it stands in the query */
};

/* What stands for "{}" behind this part of a path. */
struct api_path_name {
    const char *after; /* "pools" */
    const char *name;  /* "pool" */
    const char *type;
    const char *doc;
    const char *example;
};

struct api_tag {
    const char *name;
    const char *doc;
};

/* NULL: there is none. */
const struct api_operation *api_describe_operation(const char *pattern, enum api_method method);
const struct api_schema *api_describe_schema(struct slice name);
const struct api_parameter *api_describe_parameter(const char *pattern, struct slice name);
const struct api_path_name *api_describe_path_name(struct slice after);

/* All, for writers and tests; NULL past the end. */
const struct api_operation *api_describe_operation_at(size_t index);
const struct api_schema *api_describe_schema_at(size_t index);
const struct api_parameter *api_describe_parameter_at(size_t index);
const struct api_tag *api_describe_tag_at(size_t index);

#endif
