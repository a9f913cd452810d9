#include <string.h>
#include <unistd.h>

#include "ctl/screen.h"
#include "tests/unit/unit.h"

static const struct {
    const char *bytes;
    enum screen_key key;
    char letter;
    size_t used;
} cases[] = {
    {"q", SCREEN_LETTER, 'q', 1},
    {"/x", SCREEN_LETTER, '/', 1},
    {"\r", SCREEN_ENTER, 0, 1},
    {"\n", SCREEN_ENTER, 0, 1},
    {"\t", SCREEN_TAB, 0, 1},
    {"\x7f", SCREEN_BACKSPACE, 0, 1},
    {"\b", SCREEN_BACKSPACE, 0, 1},
    {"\x04", SCREEN_GONE, 0, 1},
    {"\033", SCREEN_ESCAPE, 0, 1},
    {"\033[A", SCREEN_UP, 0, 3},
    {"\033OBx", SCREEN_DOWN, 0, 3},
    {"\033[5~", SCREEN_PAGE_UP, 0, 4},
    {"\033[6~\033[6~", SCREEN_PAGE_DOWN, 0, 4},
    {"\033[H", SCREEN_HOME, 0, 3},
    {"\033[4~", SCREEN_END, 0, 4},
    /* what we do not know is passed over whole */
    {"\033[1;5Cq", SCREEN_NOTHING, 0, 6},
    {"\033[200~q", SCREEN_NOTHING, 0, 6},
    {"\033Pq", SCREEN_NOTHING, 0, 2},
    {"\033[", SCREEN_NOTHING, 0, 2},
    {"\033[1;", SCREEN_NOTHING, 0, 4},
    {"\xc3\xa4", SCREEN_NOTHING, 0, 1},
    {"\x01", SCREEN_NOTHING, 0, 1},
};

START_TEST(keys_are_understood)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        size_t used = 0;
        struct screen_input input = screen_decode(slice_from(cases[i].bytes), &used);
        ck_assert_msg(input.key == cases[i].key && input.letter == cases[i].letter &&
                          used == cases[i].used,
                      "case %zu: key %d, %zu bytes", i, input.key, used);
    }
}
END_TEST

START_TEST(any_bytes_are_used_up)
{
    unsigned seed = 1;
    for (int round = 0; round < 20000; round++) {
        char bytes[16];
        size_t len = 1 + (size_t)round % sizeof(bytes);
        for (size_t i = 0; i < len; i++) {
            seed = seed * 1103515245U + 12345U;
            bytes[i] = (seed >> 28) < 6 ? "\033[O;~A"[seed >> 16 & 5] : (char)(seed >> 16);
        }
        struct slice rest = slice_of(bytes, len);
        while (rest.len != 0) {
            size_t used = 0;
            (void)screen_decode(rest, &used);
            ck_assert_msg(used >= 1 && used <= rest.len, "%zu of %zu", used, rest.len);
            rest = slice_from_at(rest, used);
        }
    }
}
END_TEST

START_TEST(needs_a_terminal)
{
    struct err err = {.kind = ERR_NONE};
    int fds[2];
    ck_assert_int_eq(pipe(fds), 0);
    int kept = dup(STDIN_FILENO);
    ck_assert_int_ge(dup2(fds[0], STDIN_FILENO), 0);
    ck_assert(!screen_open(&err));
    ck_assert_str_eq(err.text, "this needs a terminal");
    ck_assert_int_ge(dup2(kept, STDIN_FILENO), 0);
    (void)close(kept);
    (void)close(fds[0]);
    (void)close(fds[1]);
}
END_TEST

UNIT_TESTS("screen", keys_are_understood, any_bytes_are_used_up, needs_a_terminal)
