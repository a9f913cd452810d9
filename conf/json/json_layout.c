#include "conf/json/json_layout.h"

#include "conf/json/json_scan.h"

enum { DEPTH_MAX = JSON_DEPTH_MAX + 1 };

struct layout {
    struct slice text;
    size_t at;
    size_t comma_at; /* of a comma that was written already; SIZE_MAX: none */
    struct buf *out;
    size_t line_at; /* in `out`: where its last line begins */
    uint32_t depth;
};

static char peek(const struct layout *layout)
{
    return layout->at < layout->text.len ? layout->text.ptr[layout->at] : '\0';
}

static bool looking_at(const struct layout *layout, const char *two)
{
    return layout->at + 1 < layout->text.len && layout->text.ptr[layout->at] == two[0] &&
           layout->text.ptr[layout->at + 1] == two[1];
}

static void new_line(struct layout *layout)
{
    buf_append_char(layout->out, '\n');
    layout->line_at = layout->out->len;
    for (uint32_t i = 0; i < layout->depth; i++) {
        buf_append_text(layout->out, "  ");
    }
}

static struct slice take(struct layout *layout, size_t end)
{
    struct slice taken = slice_of(layout->text.ptr + layout->at, end - layout->at);
    layout->at = end;
    return taken;
}

static struct slice take_line_comment(struct layout *layout)
{
    size_t end = layout->at;
    while (end < layout->text.len && layout->text.ptr[end] != '\n') {
        end++;
    }
    struct slice comment = take(layout, end);
    while (comment.len != 0 && strchr(" \t\r", comment.ptr[comment.len - 1]) != NULL) {
        comment.len--;
    }
    return comment;
}

static struct slice take_block_comment(struct layout *layout)
{
    size_t end = layout->at + 2;
    while (end + 1 < layout->text.len &&
           (layout->text.ptr[end] != '*' || layout->text.ptr[end + 1] != '/')) {
        end++;
    }
    return take(layout, end + 2 <= layout->text.len ? end + 2 : layout->text.len);
}

/* Skips space up to the next comment, which it takes, or the next token: false. Counts the lines
 * that ended before it. */
static bool next_comment(struct layout *layout, struct slice *comment, uint32_t *lines)
{
    *lines = 0;
    for (; layout->at < layout->text.len; layout->at++) {
        char byte = peek(layout);
        if (byte == '\n') {
            (*lines)++;
        } else if (looking_at(layout, "//")) {
            *comment = take_line_comment(layout);
            return true;
        } else if (looking_at(layout, "/*")) {
            *comment = take_block_comment(layout);
            return true;
        } else if (byte != ' ' && byte != '\t' && byte != '\r' && layout->at != layout->comma_at) {
            return false;
        }
    }
    return false;
}

static struct slice take_string(struct layout *layout)
{
    size_t end = layout->at + 1;
    while (end < layout->text.len && layout->text.ptr[end] != '"') {
        end += layout->text.ptr[end] == '\\' ? 2 : 1;
    }
    return take(layout, end < layout->text.len ? end + 1 : layout->text.len);
}

static struct slice take_scalar(struct layout *layout)
{
    size_t end = layout->at;
    if (peek(layout) == '"') {
        return take_string(layout);
    }
    while (end < layout->text.len && strchr(" \t\r\n,:]}[{/\"", layout->text.ptr[end]) == NULL) {
        end++;
    }
    /* always moves on, whatever is there */
    return take(layout, end == layout->at && end < layout->text.len ? end + 1 : end);
}

/* -- what stays on one line -- */

static void skip_blanks(struct layout *layout)
{
    while (peek(layout) == ' ' || peek(layout) == '\t') {
        layout->at++;
    }
}

/* False: it holds a comment or a new line, or is too deep. */
static bool flat_value(struct layout *layout, struct buf *flat, uint32_t depth)
{
    char open = peek(layout);
    if (open != '{' && open != '[') {
        buf_append_slice(flat, take_scalar(layout));
        return true;
    }
    char close = open == '{' ? '}' : ']';
    bool is_first = true;
    layout->at++;
    buf_append_char(flat, open);
    for (;;) {
        skip_blanks(layout);
        char byte = peek(layout);
        if (byte == close) {
            break;
        }
        if (byte == '\0' || byte == '\n' || byte == '\r' || byte == '/' || depth == DEPTH_MAX) {
            return false;
        }
        if (byte == ',') {
            layout->at++;
            continue;
        }
        buf_append_text(flat, is_first ? (open == '{' ? " " : "") : ", ");
        is_first = false;
        if (open == '{') {
            buf_append_slice(flat, take_scalar(layout));
            skip_blanks(layout);
            if (peek(layout) != ':') {
                return false;
            }
            layout->at++;
            buf_append_text(flat, ": ");
            skip_blanks(layout);
            byte = peek(layout);
            if (byte == '\0' || byte == '\n' || byte == '\r' || byte == '/') {
                return false;
            }
        }
        if (!flat_value(layout, flat, depth + 1)) {
            return false;
        }
    }
    layout->at++;
    buf_append_text(flat, open == '{' && !is_first ? " " : "");
    buf_append_char(flat, close);
    return true;
}

/* Writes the container that begins here on this line, if it may be there. */
static bool try_flat(struct layout *layout)
{
    struct buf flat;
    size_t start = layout->at;
    size_t used = layout->out->len - layout->line_at;
    buf_init(&flat, JSON_LAYOUT_WIDTH);
    bool ok = flat_value(layout, &flat, layout->depth) && !flat.overflow &&
              used + flat.len < JSON_LAYOUT_WIDTH; /* with a comma */
    if (ok) {
        buf_append_slice(layout->out, buf_slice(&flat));
    } else {
        layout->at = start;
    }
    buf_fini(&flat);
    return ok;
}

/* -- what takes more -- */

static void lay_value(struct layout *layout);

/* A comma that comes next, whatever stands before it, is written now. */
static void lay_comma(struct layout *layout)
{
    struct slice comment;
    uint32_t lines;
    size_t start = layout->at;
    while (next_comment(layout, &comment, &lines)) {
    }
    if (peek(layout) == ',') {
        buf_append_char(layout->out, ',');
        layout->comma_at = layout->at;
    }
    layout->at = start;
}

/* Comments between a key and its value go before the key. */
static void lay_member(struct layout *layout)
{
    struct slice comment;
    uint32_t lines;
    struct slice key = take_scalar(layout);
    while (next_comment(layout, &comment, &lines)) {
        buf_append_slice(layout->out, comment);
        new_line(layout);
    }
    layout->at += peek(layout) == ':' ? 1 : 0;
    while (next_comment(layout, &comment, &lines)) {
        buf_append_slice(layout->out, comment);
        new_line(layout);
    }
    buf_append_slice(layout->out, key);
    buf_append_text(layout->out, ": ");
    lay_value(layout);
}

/* Comments up to the next token: behind what is there, or on lines of their own. Returns how many
 * lines end before the token. */
static uint32_t lay_comments(struct layout *layout, bool is_first)
{
    struct slice comment;
    uint32_t lines;
    while (next_comment(layout, &comment, &lines)) {
        if (lines == 0) {
            buf_append_char(layout->out, ' ');
        } else {
            if (lines > 1 && !is_first) {
                buf_append_char(layout->out, '\n');
            }
            new_line(layout);
        }
        buf_append_slice(layout->out, comment);
        is_first = false;
    }
    return lines;
}

static void lay_container(struct layout *layout)
{
    bool is_object = peek(layout) == '{';
    char close = is_object ? '}' : ']';
    bool is_first = true;
    buf_append_char(layout->out, peek(layout));
    layout->at++;
    layout->depth++;
    for (;;) {
        uint32_t lines = lay_comments(layout, is_first);
        if (peek(layout) == close || layout->at >= layout->text.len) {
            break;
        }
        if (lines > 1 && !is_first) {
            buf_append_char(layout->out, '\n');
        }
        new_line(layout);
        is_first = false;
        if (is_object) {
            lay_member(layout);
        } else {
            lay_value(layout);
        }
        lay_comma(layout);
    }
    layout->depth--;
    new_line(layout);
    buf_append_char(layout->out, close);
    layout->at += layout->at < layout->text.len ? 1 : 0;
}

static void lay_value(struct layout *layout)
{
    char byte = peek(layout);
    bool is_container = (byte == '{' || byte == '[') && layout->depth < DEPTH_MAX;
    if (!is_container) {
        buf_append_slice(layout->out, take_scalar(layout));
    } else if (!try_flat(layout)) {
        lay_container(layout);
    }
}

void json_layout(struct slice text, struct buf *out)
{
    struct layout layout = {.text = text, .comma_at = SIZE_MAX, .out = out, .line_at = out->len};
    struct slice comment;
    uint32_t lines;
    bool is_first = true;
    while (next_comment(&layout, &comment, &lines)) {
        if (lines > 1 && !is_first) {
            buf_append_char(out, '\n');
        }
        buf_append_slice(out, comment);
        new_line(&layout);
        is_first = false;
    }
    if (lines > 1 && !is_first) {
        buf_append_char(out, '\n');
        layout.line_at = out->len;
    }
    lay_value(&layout);
    (void)lay_comments(&layout, false);
    buf_append_char(out, '\n');
}
