/*
 * fuzz_conf_explain - any path: a setting that is found again by what it is called, or what was
 * meant.
 */
#include <stdlib.h>

#include "conf/conf_explain.h"
#include "conf/json/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds) {
        abort();
    }
}

static void check_found(const struct conf_explain *explain)
{
    struct conf_explain again;
    struct json_write w;
    struct buf text;
    must(conf_explain_find(&again, buf_slice(&explain->path)));
    must(again.field == explain->field && again.object == explain->object);
    conf_explain_fini(&again);
    buf_init(&text, (size_t)1024 * 1024);
    json_write_init(&w, &text, JSON_COMPACT);
    conf_explain_write(explain, &w);
    struct json *json = json_parse_trusted(buf_slice(&text));
    must(json != NULL && !text.overflow);
    json_free(json);
    buf_fini(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct conf_explain explain;
    if (conf_explain_find(&explain, slice_of((const char *)data, size))) {
        check_found(&explain);
    } else {
        must(explain.unknown.len <= size);
    }
    conf_explain_fini(&explain);
    return 0;
}
