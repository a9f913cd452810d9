#include "lbd/upstream/agent_line.h"

#include "lbd/base/compiler.h"
#include "lbd/base/num.h"

static bool is_apart(char c)
{
    return c == ' ' || c == '\t' || c == ',';
}

static bool is_over(char c)
{
    return c == '\r' || c == '\n' || c == '#' || c == '\0';
}

static void read_word(struct slice word, struct agent_line *line)
{
    static const struct {
        struct slice word;
        enum server_admin admin;
    } states[] = {{SLICE_INIT("ready"), SERVER_READY},
                  {SLICE_INIT("drain"), SERVER_DRAIN},
                  {SLICE_INIT("maint"), SERVER_MAINT}};
    static const struct {
        struct slice word;
        bool is_down;
    } fitness[] = {{SLICE_INIT("up"), false},
                   {SLICE_INIT("down"), true},
                   {SLICE_INIT("fail"), true},
                   {SLICE_INIT("failed"), true},
                   {SLICE_INIT("stopped"), true}};
    uint64_t number = 0;
    for (size_t i = 0; i < ARRAY_LEN(states); i++) {
        if (slice_eq_nocase(word, states[i].word)) {
            line->has_admin = true;
            line->admin = states[i].admin;
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(fitness); i++) {
        if (slice_eq_nocase(word, fitness[i].word)) {
            line->has_fitness = true;
            line->is_down = fitness[i].is_down;
        }
    }
    if (slice_ends(word, SLICE("%")) && num_parse_u64(slice_of(word.ptr, word.len - 1), &number)) {
        line->has_percent = true;
        line->percent = number < 100 ? (uint32_t)number : 100;
    }
    struct slice maxconn = SLICE("maxconn:");
    if (word.len > maxconn.len && slice_eq_nocase(slice_of(word.ptr, maxconn.len), maxconn) &&
        num_parse_u64(slice_from_at(word, maxconn.len), &number)) {
        line->has_max = true;
        line->max_connections = number < 1000000 ? (uint32_t)number : 1000000;
    }
}

bool agent_line_read(struct slice text, struct agent_line *line)
{
    size_t at = 0;
    *line = (struct agent_line){.percent = 100};
    while (at < text.len && !is_over(text.ptr[at])) {
        size_t from = at;
        while (at < text.len && !is_apart(text.ptr[at]) && !is_over(text.ptr[at])) {
            at++;
        }
        read_word(slice_of(text.ptr + from, at - from), line);
        while (at < text.len && is_apart(text.ptr[at])) {
            at++;
        }
    }
    return line->has_percent || line->has_max || line->has_admin || line->has_fitness;
}
