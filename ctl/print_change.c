#include "ctl/print_change.h"

#include "conf/json/json_write.h"
#include "ctl/print_table.h"

enum { VALUE_SHOWN_MAX = 60 };

void print_change_value(FILE *out, const struct json *value)
{
    struct buf text;
    struct json_write w;
    buf_init(&text, CTL_TEXT_MAX);
    json_write_init(&w, &text, JSON_COMPACT);
    json_write_json(&w, value);
    struct slice shown = buf_slice(&text);
    struct buf beginning;
    buf_init(&beginning, CTL_TEXT_MAX);
    if (shown.len > VALUE_SHOWN_MAX && !json_is(value, JSON_STRING)) {
        (void)fputs(json_is(value, JSON_OBJECT) ? "{...}" : "...", out);
    } else {
        json_write_beginning(&beginning, shown, VALUE_SHOWN_MAX);
        print_text(out, buf_slice(&beginning));
    }
    buf_fini(&beginning);
    buf_fini(&text);
}

static void print_change(struct ctl *ctl, FILE *out, const struct json *change)
{
    struct slice pointer = ctl_text(change, "pointer");
    const struct json *before = json_get(change, SLICE("before"));
    const struct json *after = json_get(change, SLICE("after"));
    bool was = before != NULL && !json_is(before, JSON_NULL);
    bool is = after != NULL && !json_is(after, JSON_NULL);
    if (slice_starts(pointer, SLICE("#"))) {
        pointer = slice_from_at(pointer, 1);
    }
    print_colored(out, ctl->color && out == ctl->out,
                  was && is ? PRINT_WARN
                  : was     ? PRINT_BAD
                            : PRINT_GOOD,
                  was && is ? SLICE("~")
                  : was     ? SLICE("-")
                            : SLICE("+"));
    (void)fputc(' ', out);
    print_text(out, pointer);
    if (was || is) {
        (void)fputs(": ", out);
        if (was) {
            print_change_value(out, before);
        }
        (void)fputs(was && is ? " -> " : "", out);
        if (is) {
            print_change_value(out, after);
        }
    }
    (void)fputc('\n', out);
}

uint64_t print_change_count(const struct json *answer)
{
    uint64_t listed = json_count(json_get(answer, SLICE("changes")));
    uint64_t total = ctl_number(answer, "changes_total");
    return total > listed ? total : listed;
}

void print_change_list(struct ctl *ctl, FILE *out, const struct json *answer)
{
    const struct json *changes = json_get(answer, SLICE("changes"));
    const struct json *change;
    json_for_each(change, changes)
    {
        print_change(ctl, out, change);
    }
    uint64_t more = print_change_count(answer) - json_count(changes);
    if (more != 0) {
        (void)fprintf(out, "... and %llu more\n", (unsigned long long)more);
    }
}
