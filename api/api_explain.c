#include "api/api_explain.h"

#include "api/api_problem.h"
#include "conf/conf_explain.h"

#define SHOWN_MAX 80 /* bytes of an unknown key that are repeated */

/* What was probably meant: a key of that place, or the whole path when it belongs elsewhere. */
static void write_suggestion(const struct conf_hint *hint, struct buf *out)
{
    if (hint->suggestion.len != 0) {
        (void)buf_append_slice(out, hint->suggestion);
    } else if (hint->belongs != NULL) {
        (void)buf_printf(out, "%s.%.*s", hint->belongs, SLICE_ARG(hint->key));
    }
}

static void refuse(struct api_request *request, const struct conf_explain *explain)
{
    struct conf_errors errors;
    struct slice key = explain->unknown;
    struct buf suggestion;
    struct buf detail;
    if (key.len > SHOWN_MAX) {
        key.len = SHOWN_MAX;
    }
    buf_init(&suggestion, 1024);
    buf_init(&detail, 1024);
    conf_errors_init(&errors);
    write_suggestion(&explain->hint, &suggestion);
    conf_hint_describe(&explain->hint, key, &detail);
    conf_errors_add_at(&errors, request->names[0], "unknown-key", buf_slice(&suggestion), "%.*s",
                       SLICE_ARG(buf_slice(&detail)));
    (void)buf_printf(&detail, "%s%.*s%s", suggestion.len != 0 ? "; did you mean '" : "",
                     SLICE_ARG(buf_slice(&suggestion)), suggestion.len != 0 ? "'?" : "");
    (void)buf_append_char(&detail, '\0');
    api_problem_with(request, "not-found", detail.data, &errors);
    conf_errors_fini(&errors);
    buf_fini(&detail);
    buf_fini(&suggestion);
}

static void answer(struct api_request *request, struct slice path)
{
    struct conf_explain explain;
    struct json_write w;
    if (conf_explain_find(&explain, path)) {
        api_request_json_begin(request, &w);
        conf_explain_write(&explain, &w);
        api_request_json_end(request, 200);
    } else {
        refuse(request, &explain);
    }
    conf_explain_fini(&explain);
    api_request_done(request);
}

void api_explain_all(struct api_request *request)
{
    answer(request, SLICE_NONE);
}

void api_explain_key(struct api_request *request)
{
    answer(request, request->names[0]);
}
