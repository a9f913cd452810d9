#include <stdio.h>
#include <string.h>

#include "lbd/base/compiler.h"
#include "lbd/upstream/agent_line.h"
#include "tests/unit/unit.h"

/* "50% drain down max=7": what a line says. */
static void write_line(const struct agent_line *line, char out[64])
{
    int len = 0;
    out[0] = '\0';
    if (line->has_percent) {
        len += snprintf(out + len, 64 - (size_t)len, "%u%% ", line->percent);
    }
    if (line->has_admin) {
        len += snprintf(out + len, 64 - (size_t)len, "%s ", server_admin_word(line->admin));
    }
    if (line->has_fitness) {
        len += snprintf(out + len, 64 - (size_t)len, "%s ", line->is_down ? "down" : "up");
    }
    if (line->has_max) {
        (void)snprintf(out + len, 64 - (size_t)len, "max=%u ", line->max_connections);
    }
}

START_TEST(words_say_what_they_say)
{
    static const struct {
        struct slice text;
        const char *says;
    } cases[] = {
        {SLICE_INIT("up 50%\n"), "50% up "},
        {SLICE_INIT("75%\r\n"), "75% "},
        {SLICE_INIT("0%"), "0% "},
        {SLICE_INIT("400%"), "100% "},
        {SLICE_INIT("DRAIN\n"), "drain "},
        {SLICE_INIT("maint,down"), "maint down "},
        {SLICE_INIT("ready\tup\t100%  maxconn:200 # fine, drain me not\n"),
         "100% ready up max=200 "},
        {SLICE_INIT("stopped\ndrain"), "down "},
        {SLICE_INIT("failed#why"), "down "},
        {SLICE_INIT("maxconn:99999999999"), "max=1000000 "},
        {SLICE_INIT("maxconn:"), ""},
        {SLICE_INIT("%"), ""},
        {SLICE_INIT("-5% x% upp"), ""},
        {SLICE_INIT(""), ""},
        {SLICE_INIT("HTTP/1.1 400 Bad Request\r\n"), ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct agent_line line;
        char says[64];
        bool says_something = agent_line_read(cases[i].text, &line);
        write_line(&line, says);
        ck_assert_msg(strcmp(says, cases[i].says) == 0, "case %zu: \"%s\"", i, says);
        ck_assert_int_eq(says_something, says[0] != '\0');
    }
}
END_TEST

UNIT_TESTS("agent_line", words_say_what_they_say)
