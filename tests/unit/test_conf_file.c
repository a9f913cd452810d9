#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lbd/control/conf_file.h"
#include "tests/unit/unit.h"

static char path[64];

static void write_file(const char *text)
{
    (void)snprintf(path, sizeof(path), "/tmp/lbd-unit-XXXXXX");
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    (void)close(fd);
}

START_TEST(a_file_is_a_document_and_a_daemon)
{
    struct conf_document *document = NULL;
    struct conf_daemon *daemon = NULL;
    struct conf_errors errors;
    struct err err = {0};
    write_file("{ // comments are fine\n\"daemon\":{\"workers\":3},\"pools\":{\"p\":{},},}\n");
    conf_errors_init(&errors);
    ck_assert_msg(conf_file_load(path, &document, &daemon, &errors, &err), "%s", err.text);
    ck_assert(conf_document_has(document, SLICE("/pools/p")));
    ck_assert_uint_eq(daemon->workers, 3);
    conf_document_unref(document);
    conf_daemon_free(daemon);
    conf_errors_fini(&errors);
    (void)unlink(path);
}
END_TEST

START_TEST(a_mistake_is_described_with_its_place)
{
    struct conf_document *document = NULL;
    struct conf_daemon *daemon = NULL;
    struct conf_errors errors;
    struct err err = {0};
    struct buf line;
    write_file("{\n \"pools\": {\"p\": {\"retrys\": 1}}\n}\n");
    conf_errors_init(&errors);
    ck_assert(!conf_file_load(path, &document, &daemon, &errors, &err));
    ck_assert_int_eq(err.kind, ERR_INVALID);
    ck_assert_uint_eq(errors.error_count, 1);
    buf_init(&line, 1024);
    conf_file_describe(&errors.errors[0], false, "x.json", &line);
    const char *want =
        "x.json:2:18: #/pools/p/retrys: 'retrys' is not a known key; did you mean 'retries'?";
    ck_assert_msg(slice_eq(buf_slice(&line), slice_from(want)), "%.*s", (int)line.len, line.data);
    buf_clear(&line);
    conf_file_describe(&errors.errors[0], true, "x.json", &line);
    ck_assert(slice_starts(buf_slice(&line), SLICE("x.json:2:18: warning: #/pools/p/retrys: ")));
    buf_fini(&line);
    conf_errors_fini(&errors);
    (void)unlink(path);
}
END_TEST

START_TEST(a_file_that_cannot_be_read_says_why)
{
    struct conf_document *document = NULL;
    struct conf_daemon *daemon = NULL;
    struct conf_errors errors;
    struct err err = {0};
    conf_errors_init(&errors);
    ck_assert(!conf_file_load("/nonexistent/lbd.json", &document, &daemon, &errors, &err));
    ck_assert_int_eq(err.kind, ERR_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(err.text, "/nonexistent/lbd.json"));
    ck_assert(!conf_file_load("/tmp", &document, &daemon, &errors, &err));
    ck_assert_int_eq(err.kind, ERR_SYSTEM);
    conf_errors_fini(&errors);
}
END_TEST

static struct conf_daemon *daemon_of(const char *text)
{
    struct conf_document *document = NULL;
    struct conf_daemon *daemon = NULL;
    struct conf_errors errors;
    conf_errors_init(&errors);
    ck_assert(conf_document_from_file_text(slice_from(text), &document, &daemon, &errors));
    conf_errors_fini(&errors);
    conf_document_unref(document);
    return daemon;
}

static const struct {
    const char *before;
    const char *after;
    const char *keys;
} changes[] = {
    {"{}", "{}", ""},
    {"{\"daemon\":{\"workers\":1}}", "{\"daemon\":{\"workers\":2}}", "workers"},
    {"{}", "{\"daemon\":{\"log\":{\"level\":\"debug\"}}}", "log.level"},
    {"{\"daemon\":{\"state_dir\":\"/a\",\"workers\":1}}",
     "{\"daemon\":{\"state_dir\":\"/b\",\"workers\":2}}", "state_dir workers"},
};

START_TEST(changed_daemon_keys_are_named)
{
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        struct buf keys;
        buf_init(&keys, 1024);
        struct conf_daemon *before = daemon_of(changes[i].before);
        struct conf_daemon *after = daemon_of(changes[i].after);
        conf_file_daemon_changes(before, after, &keys);
        struct slice wanted = slice_from(changes[i].keys);
        struct slice word;
        size_t expected = 0;
        (void)buf_append_char(&keys, '\0');
        while (wanted.len != 0 && slice_split(&wanted, ' ', &word)) {
            char text[32];
            (void)snprintf(text, sizeof(text), "%.*s", SLICE_ARG(word));
            ck_assert_msg(strstr(keys.data, text) != NULL, "%s not in '%s'", text, keys.data);
            expected += word.len + (expected != 0 ? 2 : 0);
        }
        ck_assert_uint_eq(strlen(keys.data), expected);
        conf_daemon_free(before);
        conf_daemon_free(after);
        buf_fini(&keys);
    }
}
END_TEST

UNIT_TESTS("conf_file", a_file_is_a_document_and_a_daemon, a_mistake_is_described_with_its_place,
           a_file_that_cannot_be_read_says_why, changed_daemon_keys_are_named)
