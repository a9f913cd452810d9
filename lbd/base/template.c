#include "lbd/base/template.h"

enum template_step template_next(struct slice *rest, struct slice *piece)
{
    size_t open = slice_find(*rest, '{');
    if (rest->len == 0) {
        return TEMPLATE_END;
    }
    if (open != 0) {
        *piece = open == SIZE_MAX ? *rest : slice_of(rest->ptr, open);
        *rest = slice_from_at(*rest, piece->len);
        return TEMPLATE_LITERAL;
    }
    if (rest->len > 1 && rest->ptr[1] == '{') {
        *piece = slice_of(rest->ptr, 1);
        *rest = slice_from_at(*rest, 2);
        return TEMPLATE_LITERAL;
    }
    size_t close = slice_find(*rest, '}');
    if (close == SIZE_MAX || close == 1) {
        return TEMPLATE_BAD;
    }
    *piece = slice_of(rest->ptr + 1, close - 1);
    *rest = slice_from_at(*rest, close + 1);
    return TEMPLATE_NAME;
}
