#include "lbd/mail/mail_keywords.h"

#include "lbd/base/num.h"
#include "lbd/mail/mail_line.h"

static char separator_of(enum mail_keywords_form form)
{
    return form == MAIL_KEYWORDS_LINES ? '\n' : ' ';
}

/* The next entry that is not empty: its keyword, and what follows it. */
static bool next(struct slice *list, enum mail_keywords_form form, struct slice *keyword,
                 struct slice *values)
{
    struct slice entry;
    while (list->len > 0 && slice_split(list, separator_of(form), &entry)) {
        *values = entry;
        if (mail_word_next(values, keyword)) {
            return true;
        }
    }
    return false;
}

static bool find(struct slice list, enum mail_keywords_form form, struct slice keyword,
                 struct slice *values)
{
    struct slice one;
    while (next(&list, form, &one, values)) {
        if (slice_eq_nocase(one, keyword)) {
            return true;
        }
    }
    return false;
}

static void append_word(struct buf *out, size_t from, char separator, struct slice word)
{
    if (out->len > from) {
        (void)buf_append_char(out, separator);
    }
    (void)buf_append_slice(out, word);
}

/* RFC 1870: a SIZE without a number, or 0, sets no limit. */
static uint64_t size_of(struct slice values)
{
    struct slice word;
    uint64_t size = 0;
    if (!mail_word_next(&values, &word) || !num_parse_u64(word, &size) || size == 0) {
        return UINT64_MAX;
    }
    return size;
}

/* Appends " <values>" of what both have; false: they share nothing. */
static bool append_values(struct buf *out, struct slice keyword, struct slice a, struct slice b)
{
    if (slice_eq_nocase(keyword, SLICE("SIZE"))) {
        uint64_t size = size_of(a) < size_of(b) ? size_of(a) : size_of(b);
        if (size != UINT64_MAX) {
            (void)buf_printf(out, " %llu", (unsigned long long)size);
        }
        return true;
    }
    bool had_any = false;
    bool has_any = false;
    struct slice word;
    while (mail_word_next(&a, &word)) {
        had_any = true;
        if (mail_word_in(b, word)) {
            (void)buf_append_char(out, ' ');
            (void)buf_append_slice(out, word);
            has_any = true;
        }
    }
    return has_any || (!had_any && slice_trim(b).len == 0);
}

void mail_keywords_common(struct slice a, struct slice b, enum mail_keywords_form form,
                          struct buf *out)
{
    size_t from = out->len;
    struct slice keyword;
    struct slice mine;
    struct slice theirs;
    while (next(&a, form, &keyword, &mine)) {
        size_t before = out->len;
        if (!find(b, form, keyword, &theirs)) {
            continue;
        }
        append_word(out, from, separator_of(form), keyword);
        if (form == MAIL_KEYWORDS_LINES && !append_values(out, keyword, mine, theirs)) {
            out->len = before;
        }
    }
}

void mail_keywords_beyond(struct slice list, struct slice other, enum mail_keywords_form form,
                          struct buf *out)
{
    struct slice keyword;
    struct slice values;
    while (next(&list, form, &keyword, &values)) {
        if (!find(other, form, keyword, &values) && !mail_word_in(buf_slice(out), keyword)) {
            append_word(out, 0, ' ', keyword);
        }
    }
}
