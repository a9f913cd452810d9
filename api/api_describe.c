#include "api/api_describe.h"

#include "lbd/base/compiler.h"

static const struct api_operation operations[] = {
#define OPERATION(method_, pattern_, ...) {.method = (method_), .pattern = (pattern_), __VA_ARGS__},
#include "api/api_describe.def"
#undef OPERATION
};

static const struct api_schema schemas[] = {
#define SCHEMA(name_, doc_, ...)                                                                   \
    {.name = (name_),                                                                              \
     .doc = (doc_),                                                                                \
     .members = (const struct api_member[]){__VA_ARGS__{.key = NULL}}},
#define M(...) {__VA_ARGS__},
#include "api/api_schemas.def"
#undef M
#undef SCHEMA
};

static const struct api_parameter parameters[] = {
#define PARAMETER(name_, ...) {.name = (name_), __VA_ARGS__},
#include "api/api_parameters.def"
#undef PARAMETER
};

static const struct api_path_name path_names[] = {
#define PATH_NAME(after_, ...) {.after = (after_), __VA_ARGS__},
#include "api/api_parameters.def"
#undef PATH_NAME
};

static const struct api_tag tags[] = {
#define TAG(name_, doc_) {.name = (name_), .doc = (doc_)},
#include "api/api_parameters.def"
#undef TAG
};

const struct api_operation *api_describe_operation(const char *pattern, enum api_method method)
{
    for (size_t i = 0; i < ARRAY_LEN(operations); i++) {
        if (operations[i].method == method && strcmp(operations[i].pattern, pattern) == 0) {
            return &operations[i];
        }
    }
    return NULL;
}

const struct api_schema *api_describe_schema(struct slice name)
{
    for (size_t i = 0; i < ARRAY_LEN(schemas); i++) {
        if (slice_eq(slice_from(schemas[i].name), name)) {
            return &schemas[i];
        }
    }
    return NULL;
}

const struct api_parameter *api_describe_parameter(const char *pattern, struct slice name)
{
    const struct api_parameter *found = NULL;
    for (size_t i = 0; i < ARRAY_LEN(parameters); i++) {
        const struct api_parameter *parameter = &parameters[i];
        if (!slice_eq(slice_from(parameter->name), name)) {
            continue;
        }
        if (parameter->pattern == NULL) {
            found = found != NULL ? found : parameter;
        } else if (strcmp(parameter->pattern, pattern) == 0) {
            return parameter;
        }
    }
    return found;
}

const struct api_path_name *api_describe_path_name(struct slice after)
{
    for (size_t i = 0; i < ARRAY_LEN(path_names); i++) {
        if (slice_eq(slice_from(path_names[i].after), after)) {
            return &path_names[i];
        }
    }
    return NULL;
}

const struct api_operation *api_describe_operation_at(size_t index)
{
    return index < ARRAY_LEN(operations) ? &operations[index] : NULL;
}

const struct api_schema *api_describe_schema_at(size_t index)
{
    return index < ARRAY_LEN(schemas) ? &schemas[index] : NULL;
}

const struct api_parameter *api_describe_parameter_at(size_t index)
{
    return index < ARRAY_LEN(parameters) ? &parameters[index] : NULL;
}

const struct api_tag *api_describe_tag_at(size_t index)
{
    return index < ARRAY_LEN(tags) ? &tags[index] : NULL;
}
