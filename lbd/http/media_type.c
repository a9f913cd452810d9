#include "lbd/http/media_type.h"

#include "lbd/base/compiler.h"

struct slice media_type_of_path(struct slice path)
{
    static const struct {
        struct slice end;
        struct slice type;
    } types[] = {
        {SLICE_INIT(".html"), SLICE_INIT("text/html; charset=utf-8")},
        {SLICE_INIT(".htm"), SLICE_INIT("text/html; charset=utf-8")},
        {SLICE_INIT(".txt"), SLICE_INIT("text/plain; charset=utf-8")},
        {SLICE_INIT(".css"), SLICE_INIT("text/css; charset=utf-8")},
        {SLICE_INIT(".js"), SLICE_INIT("text/javascript; charset=utf-8")},
        {SLICE_INIT(".json"), SLICE_INIT("application/json")},
        {SLICE_INIT(".xml"), SLICE_INIT("application/xml")},
        {SLICE_INIT(".svg"), SLICE_INIT("image/svg+xml")},
        {SLICE_INIT(".png"), SLICE_INIT("image/png")},
        {SLICE_INIT(".jpg"), SLICE_INIT("image/jpeg")},
        {SLICE_INIT(".gif"), SLICE_INIT("image/gif")},
        {SLICE_INIT(".webp"), SLICE_INIT("image/webp")},
        {SLICE_INIT(".ico"), SLICE_INIT("image/x-icon")},
        {SLICE_INIT(".pdf"), SLICE_INIT("application/pdf")},
    };
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        size_t len = types[i].end.len;
        if (path.len > len && slice_eq_nocase(slice_from_at(path, path.len - len), types[i].end)) {
            return types[i].type;
        }
    }
    return SLICE("text/plain; charset=utf-8"); /* as of a body in the document */
}
