#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/cmd_edit.h"
#include "tests/unit/fake_api.h"
#include "tests/unit/unit.h"

#define HAVE(etag, body)                                                                           \
    FAKE_REPLY("200 OK",                                                                           \
               "Content-Type: application/json\r\nETag: \"" etag "\"\r\nLbd-Revision: 4\r\n",      \
               body)
#define DRY                                                                                        \
    FAKE_REPLY("200 OK", "Content-Type: application/json\r\nLbd-Changed: false\r\n",               \
               "{\"changes\":[{\"pointer\":\"/x\",\"after\":1}],\"changes_total\":1}")
#define DONE      FAKE_REPLY("200 OK", "Content-Type: application/json\r\nLbd-Revision: 5\r\n", "{}")
#define OVERTAKEN FAKE_PROBLEM("412 Precondition Failed", "{\"title\":\"It has changed\"}")
#define INVALID                                                                                    \
    FAKE_PROBLEM("422 No",                                                                         \
                 "{\"title\":\"Not right\",\"errors\":[{\"pointer\":"                              \
                 "\"#/pools/web/retries\",\"code\":\"x\",\"detail\":\"must be small\"}]}")
#define POOL "/v1/pools/web"

static const struct {
    const char *text;
    struct cmd_edit_note notes[3];
    uint32_t count;
    const char *want;
} texts[] = {
    {"{\n  \"a\": 1\n}\n", {{2, "bad"}}, 1, "{\n  // error: bad\n  \"a\": 1\n}\n"},
    {"{\n  // error: old\n  \"a\": 1\n}", {{3, "new"}}, 1, "{\n  // error: new\n  \"a\": 1\n}"},
    {"a\n",
     {{0, "top"}, {1, "x\ny"}, {1, "z"}},
     3,
     "// error: top\n// error: x y\n// error: z\na\n"},
    {"a", {{0, NULL}}, 0, "a"},
};

START_TEST(notes_stand_above_their_lines)
{
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct buf out;
        buf_init(&out, 1024);
        cmd_edit_annotate(slice_from(texts[i].text), texts[i].notes, texts[i].count, &out);
        ck_assert_str_eq(out.data, texts[i].want);
        buf_fini(&out);
    }
}
END_TEST

static char directory[64];

/* The editor is a line of shell; "$1" is the file. */
static struct fake_run edit(const struct fake_turn *turns, size_t count, const char *editor)
{
    char script[1024];
    char path[96];
    (void)snprintf(directory, sizeof(directory), "/tmp/lbctl-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    (void)snprintf(path, sizeof(path), "%s/editor", directory);
    FILE *file = fopen(path, "we");
    ck_assert_ptr_nonnull(file);
    (void)fprintf(file, "cp \"$1\" '%s/seen'\n%s\n", directory, editor);
    (void)fclose(file);
    (void)snprintf(script, sizeof(script), "sh %s", path);
    ck_assert_int_eq(setenv("VISUAL", script, 1), 0);
    ck_assert_int_eq(setenv("TMPDIR", directory, 1), 0);
    struct fake_run run = fake_lbctl(turns, count, "edit", "pool", "web", NULL);
    ck_assert_int_eq(unsetenv("VISUAL"), 0);
    return run;
}

/* What the editor saw the last time. */
static const char *seen(void)
{
    static char text[4096];
    char path[96];
    (void)snprintf(path, sizeof(path), "%s/seen", directory);
    FILE *file = fopen(path, "re");
    ck_assert_ptr_nonnull(file);
    size_t len = fread(text, 1, sizeof(text) - 1, file);
    text[len] = '\0';
    (void)fclose(file);
    return text;
}

/* Removes everything; true when a text was kept. */
static bool clean_up(void)
{
    char pattern[128];
    glob_t found;
    (void)snprintf(pattern, sizeof(pattern), "%s/lbctl-edit-*/web.jsonc", directory);
    bool kept = glob(pattern, 0, NULL, &found) == 0;
    if (kept) {
        globfree(&found);
    }
    (void)snprintf(pattern, sizeof(pattern), "rm -r '%s'", directory);
    ck_assert_int_eq(system(pattern), 0);
    return kept;
}

START_TEST(what_was_changed_is_sent)
{
    static const struct fake_turn turns[] = {{"GET " POOL, HAVE("aa", "{\"retries\":1}")},
                                             {"PUT " POOL "?dry_run=true", DRY},
                                             {"PUT " POOL, DONE}};
    struct fake_run run = edit(turns, 3, "sed -i 's/: 1/: 2/' \"$1\"");
    ck_assert_msg(run.code == CTL_OK, "%s", run.err);
    ck_assert_str_eq(run.out, "+ /x: 1\napplied: 1 change, revision 5 (undo: lbctl rollback 4)\n");
    ck_assert_ptr_nonnull(strstr(run.api.requests[2], "\r\n\r\n{\"retries\":2}"));
    ck_assert_ptr_nonnull(strstr(run.api.requests[2], "\r\nIf-Match: \"aa\"\r\n"));
    ck_assert_str_eq(seen(), "// lbctl: web, as lbd runs it. Save and leave to apply it.\n"
                             "// lbctl: Leave it as it is, or empty, to change nothing.\n"
                             "{\n  \"retries\": 1\n}\n");
    ck_assert(!clean_up());
    fake_run_fini(&run);
}
END_TEST

START_TEST(nothing_is_done_when_nothing_was_changed)
{
    static const struct fake_turn turns[] = {{"GET " POOL, HAVE("aa", "{\"retries\":1}")}};
    static const char *const editors[] = {"true", ": >\"$1\"", "echo '// only that' >\"$1\"",
                                          "echo '{ \"retries\" : 1 }' >\"$1\""};
    for (size_t i = 0; i < ARRAY_LEN(editors); i++) {
        struct fake_run run = edit(turns, 1, editors[i]);
        ck_assert_int_eq(run.code, CTL_OK);
        ck_assert_str_eq(run.out, "unchanged: nothing was done\n");
        ck_assert(!clean_up());
        fake_run_fini(&run);
    }
}
END_TEST

START_TEST(errors_come_back_at_their_lines)
{
    static const struct fake_turn turns[] = {{"GET " POOL, HAVE("aa", "{\"retries\":1}")},
                                             {"PUT " POOL "?dry_run=true", INVALID},
                                             {"PUT " POOL "?dry_run=true", DRY},
                                             {"PUT " POOL, DONE}};
    struct fake_run run =
        edit(turns, 4,
             "if grep -q 'must be small' \"$1\"; then sed -i 's/: 99/: 2/' \"$1\"\n"
             "else sed -i 's/: 1/: 99/' \"$1\"; fi");
    ck_assert_msg(run.code == CTL_OK, "%s", run.err);
    ck_assert_str_eq(seen(), "// lbctl: web, as lbd runs it. Save and leave to apply it.\n"
                             "// lbctl: Leave it as it is, or empty, to change nothing.\n"
                             "{\n  // error: /pools/web/retries: must be small\n"
                             "  \"retries\": 99\n}\n");
    ck_assert(!clean_up());
    fake_run_fini(&run);
}
END_TEST

START_TEST(who_gives_up_keeps_the_text)
{
    static const struct fake_turn turns[] = {{"GET " POOL, HAVE("aa", "{\"retries\":1}")},
                                             {"PUT " POOL "?dry_run=true", INVALID}};
    struct fake_run run = edit(turns, 2, "sed -i 's/: 1/: 99/' \"$1\"");
    ck_assert_int_eq(run.code, CTL_INVALID);
    ck_assert_str_eq(run.out, "");
    ck_assert_ptr_nonnull(strstr(run.err, ":5:14: /pools/web/retries: must be small\n"));
    const char *said = strstr(run.err, "not applied");
    ck_assert_ptr_nonnull(said);
    ck_assert_msg(strstr(said + 1, "not applied") == NULL, "said twice: %s", run.err);
    ck_assert_ptr_nonnull(strstr(run.err, "\nyour text is kept in "));
    ck_assert(clean_up());
    fake_run_fini(&run);

    run = edit(turns, 1, "sed -i 's/: 1/: }/' \"$1\""); /* no JSON: nobody is asked */
    ck_assert_int_eq(run.code, CTL_INVALID);
    ck_assert_ptr_nonnull(strstr(seen(), "  // error: "));
    ck_assert_ptr_nonnull(strstr(run.err, "/web.jsonc:5:"));
    ck_assert(clean_up());
    fake_run_fini(&run);

    run = edit(turns, 1, "exit 3");
    ck_assert_int_eq(run.code, CTL_USAGE);
    ck_assert_ptr_nonnull(strstr(run.err, "ended badly; nothing was changed\n"));
    ck_assert_ptr_null(strstr(run.err, "your text is kept"));
    ck_assert(!clean_up());
    fake_run_fini(&run);
}
END_TEST

START_TEST(changes_of_others_are_kept)
{
    static const struct fake_turn turns[] = {
        {"GET " POOL, HAVE("aa", "{\"retries\":1,\"a\":1}")},
        {"PUT " POOL "?dry_run=true", OVERTAKEN},
        {"GET " POOL, HAVE("bb", "{\"retries\":1,\"a\":5,\"b\":6}")},
        {"PUT " POOL "?dry_run=true", DRY},
        {"PUT " POOL, DONE}};
    struct fake_run run = edit(turns, 5, "sed -i 's/retries\": 1/retries\": 2/' \"$1\"");
    ck_assert_msg(run.code == CTL_OK, "%s", run.err);
    ck_assert_str_eq(run.err,
                     "somebody else changed it meanwhile, at other places: both are kept\n");
    ck_assert_ptr_nonnull(strstr(run.api.requests[4], "\r\nIf-Match: \"bb\"\r\n"));
    ck_assert_ptr_nonnull(strstr(run.api.requests[4], "\r\n\r\n{\"a\":5,\"b\":6,\"retries\":2}"));
    ck_assert(!clean_up());
    fake_run_fini(&run);
}
END_TEST

START_TEST(the_same_place_is_shown)
{
    static const struct fake_turn turns[] = {{"GET " POOL, HAVE("aa", "{\"a\":1,\"retries\":1}")},
                                             {"PUT " POOL "?dry_run=true", OVERTAKEN},
                                             {"GET " POOL, HAVE("bb", "{\"a\":1,\"retries\":7}")},
                                             {"PUT " POOL "?dry_run=true", DRY},
                                             {"PUT " POOL, DONE}};
    static const char shown[] = "{\n  \"a\": 1,\n"
                                "  // error: changed meanwhile by somebody else, to: 7\n"
                                "  \"retries\": 2\n}\n";
    struct fake_run run =
        edit(turns, 3, "sed -i 's/retries\": 1/retries\": 2/' \"$1\""); /* then leaves it */
    ck_assert_int_eq(run.code, CTL_CONFLICT);
    ck_assert_ptr_nonnull(strstr(seen(), shown));
    ck_assert(clean_up());
    fake_run_fini(&run);
    run = edit(turns, 5, "sed -i -e 's/retries\": 1/retries\": 2/' -e '/error:/d' \"$1\"");
    ck_assert_msg(run.code == CTL_OK, "%s", run.err);
    ck_assert_ptr_nonnull(strstr(run.api.requests[4], "{\"a\":1,\"retries\":2}"));
    ck_assert(!clean_up());
    fake_run_fini(&run);
}
END_TEST

UNIT_TESTS("cmd_edit", notes_stand_above_their_lines, what_was_changed_is_sent,
           nothing_is_done_when_nothing_was_changed, errors_come_back_at_their_lines,
           who_gives_up_keeps_the_text, changes_of_others_are_kept, the_same_place_is_shown)
