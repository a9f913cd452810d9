#include "lbd/http/method.h"

#include "lbd/base/compiler.h"

static const struct slice words[] = {
    [METHOD_OTHER] = {"", 0},          [METHOD_GET] = {"GET", 3},
    [METHOD_HEAD] = {"HEAD", 4},       [METHOD_POST] = {"POST", 4},
    [METHOD_PUT] = {"PUT", 3},         [METHOD_DELETE] = {"DELETE", 6},
    [METHOD_OPTIONS] = {"OPTIONS", 7}, [METHOD_PATCH] = {"PATCH", 5},
    [METHOD_TRACE] = {"TRACE", 5},     [METHOD_CONNECT] = {"CONNECT", 7},
};

enum method method_of(struct slice word)
{
    for (size_t i = METHOD_GET; i < ARRAY_LEN(words); i++) {
        if (slice_eq(word, words[i])) {
            return (enum method)i;
        }
    }
    return METHOD_OTHER;
}

bool method_is_misspelt(struct slice word)
{
    for (size_t i = METHOD_GET; i < ARRAY_LEN(words); i++) {
        if (slice_eq_nocase(word, words[i])) {
            return !slice_eq(word, words[i]);
        }
    }
    return false;
}

struct slice method_word(enum method method)
{
    return words[method];
}

bool method_is_retry_safe(enum method method)
{
    return method == METHOD_GET || method == METHOD_HEAD || method == METHOD_OPTIONS;
}
