/*
 * fuzz_json_scan - what the scanner lets through is JSON for the parser too, and survives being
 * written.
 *
 * Whatever the bytes: no crash. If the text is accepted: what is left of it is strict JSON, cJSON
 * reads all of it, the canonical text is accepted again, reads back as the same value and is its
 * own canonical text.
 */
#include <stdlib.h>

#include "conf/json/json.h"
#include "conf/json/json_scan.h"
#include "conf/json/json_write.h"
#include "lbd/base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds) {
        abort();
    }
}

static struct buf canonical(const struct json *json, enum json_layout layout)
{
    struct buf text;
    struct json_write w;
    buf_init(&text, (size_t)64 * 1024 * 1024);
    json_write_init(&w, &text, layout);
    json_write_canonical(&w, json);
    must(!text.overflow);
    return text;
}

static void check_value(struct slice text)
{
    struct json_error error;
    struct json *json = json_parse_trusted(text);
    must(json != NULL);
    struct buf compact = canonical(json, JSON_COMPACT);
    struct buf pretty = canonical(json, JSON_PRETTY);
    struct json *back = json_parse(buf_slice(&compact), JSON_STRICT, &json_limits_document, &error);
    struct json *laid_out =
        json_parse(buf_slice(&pretty), JSON_STRICT, &json_limits_document, &error);
    must(back != NULL && laid_out != NULL);
    must(json_equal(json, back) && json_equal(json, laid_out));
    struct buf again = canonical(back, JSON_COMPACT);
    must(slice_eq(buf_slice(&compact), buf_slice(&again)));

    struct buf raw;
    struct json_write w;
    buf_init(&raw, (size_t)64 * 1024 * 1024);
    json_write_init(&w, &raw, JSON_COMPACT);
    json_write_raw(&w, buf_slice(&pretty));
    must(slice_eq(buf_slice(&raw), buf_slice(&compact)));

    buf_fini(&raw);
    buf_fini(&again);
    buf_fini(&pretty);
    buf_fini(&compact);
    json_free(laid_out);
    json_free(back);
    json_free(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct json_error error;
    struct slice text = slice_of((const char *)data, size);
    bool strict = json_scan_strict(text, &json_limits_document, &error);
    must(strict || error.line > 0);
    must(error.offset <= size);

    char *copy = mem_slicedup(text);
    bool relaxed = json_scan(copy, size, JSON_COMMENTS, &json_limits_document, &error);
    must(relaxed || !strict); /* files may hold more, never less */
    if (relaxed) {
        struct slice blanked = slice_of(copy, size);
        must(json_scan_strict(blanked, &json_limits_document, &error));
        check_value(blanked);
    }
    free(copy);
    return 0;
}
