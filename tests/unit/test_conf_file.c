#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lbd/control/conf_file.h"
#include "tests/unit/unit.h"

static char path[96];

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
    write_file("{\n \"pools\": {\"p\": {\"retriess\": 1}}\n}\n");
    conf_errors_init(&errors);
    ck_assert(!conf_file_load(path, &document, &daemon, &errors, &err));
    ck_assert_int_eq(err.kind, ERR_INVALID);
    ck_assert_uint_eq(errors.error_count, 1);
    buf_init(&line, 1024);
    ck_assert(slice_eq(errors.errors[0].file, slice_from(path)));
    errors.errors[0].file = SLICE_NONE; /* as with a text that is no file */
    conf_file_describe(&errors.errors[0], false, "x.json", &line);
    const char *want =
        "x.json:2:18: #/pools/p/retriess: 'retriess' is not a known key; did you mean 'retries'?";
    ck_assert_msg(slice_eq(buf_slice(&line), slice_from(want)), "%.*s", (int)line.len, line.data);
    buf_clear(&line);
    conf_file_describe(&errors.errors[0], true, "x.json", &line);
    ck_assert(slice_starts(buf_slice(&line), SLICE("x.json:2:18: warning: #/pools/p/retriess: ")));
    buf_fini(&line);
    conf_errors_fini(&errors);
    (void)unlink(path);
}
END_TEST

/* A folder with lbd.json and what a test puts into conf.d. */
static char folder[64];

static void put(const char *name, const char *text)
{
    char file[128];
    (void)snprintf(file, sizeof(file), "%s/%s", folder, name);
    FILE *out = fopen(file, "we");
    ck_assert_ptr_nonnull(out);
    (void)fputs(text, out);
    (void)fclose(out);
}

static void make_folder(const char *text)
{
    char inside[80];
    (void)snprintf(folder, sizeof(folder), "/tmp/lbd-unit-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    (void)snprintf(inside, sizeof(inside), "%s/conf.d", folder);
    ck_assert_int_eq(mkdir(inside, 0700), 0);
    (void)snprintf(path, sizeof(path), "%s/lbd.json", folder);
    put("lbd.json", text);
}

static void remove_folder(void)
{
    char command[128];
    (void)snprintf(command, sizeof(command), "rm -rf %s", folder);
    ck_assert_int_eq(system(command), 0); /* NOLINT: a name of our own making */
}

START_TEST(the_folder_beside_it_is_read_too)
{
    struct conf_document *document = NULL;
    struct conf_daemon *daemon = NULL;
    struct conf_errors errors;
    struct err err = {0};
    make_folder("{\"daemon\":{\"workers\":2},\"pools\":{\"p\":{}}}");
    put("conf.d/b.json", "{\"pools\":{\"b\":{}}}");
    put("conf.d/a.jsonc", "{\"pools\":{\"a\":{}}} // first");
    /* what editors and dpkg leave behind */
    put("conf.d/.hidden.json", "no");
    put("conf.d/a.json~", "no");
    put("conf.d/a.json.dpkg-old", "no");
    put("conf.d/README", "no");
    conf_errors_init(&errors);
    ck_assert_msg(conf_file_load(path, &document, &daemon, &errors, &err), "%s", err.text);
    ck_assert_uint_eq(conf_document_conf(document)->pool_count, 3);
    conf_document_unref(document);
    conf_daemon_free(daemon);

    /* the later one is the one too many, by the order of names */
    put("conf.d/0.json", "{\"pools\":{\"b\":{}}}");
    ck_assert(!conf_file_load(path, &document, &daemon, &errors, &err));
    ck_assert_int_eq(err.kind, ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "with its conf.d is not valid: 1 error"));
    ck_assert(slice_ends(errors.errors[0].file, SLICE("/conf.d/b.json")));
    ck_assert_ptr_nonnull(memmem(errors.errors[0].detail.ptr, errors.errors[0].detail.len,
                                 "/conf.d/0.json:1:11", strlen("/conf.d/0.json:1:11")));
    conf_errors_fini(&errors);
    remove_folder();
}
END_TEST

START_TEST(what_lies_in_the_folder_must_be_files)
{
    static const char *const names[] = {"conf.d/d.json", "conf.d/p.json", "conf.d/l.json"};
    struct conf_document *document = NULL;
    struct conf_daemon *daemon = NULL;
    struct conf_errors errors;
    struct err err = {0};
    char name[128];
    conf_errors_init(&errors);
    for (int i = 0; i < 3; i++) {
        make_folder("{}");
        (void)snprintf(name, sizeof(name), "%s/%s", folder, names[i]);
        int failed = i == 0   ? mkdir(name, 0700)
                     : i == 1 ? mkfifo(name, 0600) /* must not make us wait for a writer */
                              : symlink("nowhere", name);
        ck_assert_int_eq(failed, 0);
        ck_assert(!conf_file_load(path, &document, &daemon, &errors, &err));
        ck_assert_msg(strstr(err.text, names[i]) != NULL, "%s", err.text);
        ck_assert_int_eq(err.kind, i == 2 ? ERR_NOT_FOUND : ERR_INVALID);
        remove_folder();
    }
    conf_errors_fini(&errors);
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
           the_folder_beside_it_is_read_too, what_lies_in_the_folder_must_be_files,
           a_file_that_cannot_be_read_says_why, changed_daemon_keys_are_named)
