/*
 * api_schema - documents of the API as JSON Schemas: the half of api_openapi that knows no paths.
 *
 *     "string"  "{Pool}"  "up|down"      the language of api_describe.h
 *         {"type": "string"}   {"type": "object", "additionalProperties": {"$ref": ...}}   ...
 *
 * Memory: keeps nothing. Threads: any.
 */
#ifndef API_API_SCHEMA_H
#define API_API_SCHEMA_H

#include "conf/json/json_write.h"
#include "lbd/base/slice.h"

/* "$ref": "#/components/KIND/NAME" as a member of an open object. */
void api_schema_write_reference(struct json_write *w, const char *kind, struct slice name);
/* A type as members of an open object. */
void api_schema_write_type(struct json_write *w, struct slice type);
/* The same as its member "schema". */
void api_schema_write_member(struct json_write *w, struct slice type);
/* "schemas": the settings, and every document that some row takes or answers. */
void api_schema_write_all(struct json_write *w);

#endif
