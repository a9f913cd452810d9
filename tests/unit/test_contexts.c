#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/contexts.h"
#include "lbd/base/compiler.h"
#include "tests/unit/unit.h"

static char home[64];

static void begin(void)
{
    (void)strcpy(home, "/tmp/test-contexts-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(home));
    ck_assert_int_eq(setenv("HOME", home, 1), 0);
    ck_assert_int_eq(unsetenv("XDG_CONFIG_HOME"), 0);
}

static void end(void)
{
    char command[128];
    (void)snprintf(command, sizeof(command), "rm -r %s", home);
    ck_assert_int_eq(system(command), 0);
}

static void write_file(const char *text, mode_t mode)
{
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/.config", home);
    (void)mkdir(path, 0755);
    (void)strcat(path, "/lbd");
    (void)mkdir(path, 0700);
    (void)strcat(path, "/contexts.json");
    (void)unlink(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    ck_assert_int_eq(fchmod(fd, mode), 0);
    (void)close(fd);
}

START_TEST(what_is_saved_is_found_again)
{
    struct contexts contexts;
    struct endpoint endpoint;
    struct err err = {.kind = ERR_NONE};
    struct stat found;
    char path[CONTEXTS_PATH_MAX];
    begin();
    ck_assert(contexts_load(&contexts, &err)); /* no file */
    ck_assert_uint_eq(contexts_current(&contexts).len, 0);
    ck_assert_ptr_null(contexts_all(&contexts));
    endpoint_init(&endpoint);
    ck_assert(endpoint_set_url(&endpoint, "https://a:9443", &err));
    endpoint_text(&endpoint.ca_file, "/ca");
    ck_assert(contexts_save_token(&contexts, SLICE("shop"), SLICE("lbd_x\n"), path, &err));
    endpoint_text(&endpoint.token_file, path);
    contexts_put(&contexts, SLICE("shop"), &endpoint);
    contexts_use(&contexts, SLICE("shop"));
    ck_assert_msg(contexts_save(&contexts, &err), "%s", err.text);
    ck_assert_int_eq(stat(contexts.path, &found), 0);
    ck_assert_uint_eq(found.st_mode & 0777, 0600);
    ck_assert_int_eq(stat(path, &found), 0);
    ck_assert_uint_eq(found.st_mode & 0777, 0600);
    ck_assert_int_eq(stat(contexts.folder, &found), 0);
    ck_assert_uint_eq(found.st_mode & 0777, 0700);
    contexts_fini(&contexts);
    endpoint_fini(&endpoint);

    ck_assert(contexts_load(&contexts, &err));
    ck_assert(slice_eq(contexts_current(&contexts), SLICE("shop")));
    ck_assert_msg(contexts_find(&contexts, SLICE("shop"), &endpoint, &err), "%s", err.text);
    ck_assert_str_eq(endpoint.url, "https://a:9443");
    ck_assert_str_eq(endpoint.ca_file, "/ca");
    ck_assert_str_eq(endpoint.token_file, path);
    ck_assert(!contexts_find(&contexts, SLICE("no"), &endpoint, &err));
    ck_assert_int_eq(err.kind, ERR_NOT_FOUND);
    ck_assert(contexts_remove(&contexts, SLICE("shop")));
    ck_assert(!contexts_remove(&contexts, SLICE("shop")));
    ck_assert_uint_eq(contexts_current(&contexts).len, 0); /* it went with it */
    contexts_remove_token(&contexts, SLICE("shop"));
    ck_assert_int_ne(access(path, F_OK), 0);
    contexts_fini(&contexts);
    endpoint_fini(&endpoint);
    end();
}
END_TEST

static const struct {
    const char *text;
    mode_t mode;
    const char *problem; /* of loading or of finding "a"; NULL: none */
} files[] = {
    {"// mine\n{\"contexts\": {\"a\": {\"socket\": \"/x\"},}}", 0600, NULL},
    {"", 0600, "there is no context 'a'"},
    {"{\"contexts\": {\"a\": {\"socket\": \"/x\"}}}", 0644, NULL},
    {"{\"contexts\": {\"a\": {\"socket\": \"/x\"}}}", 0664, "may be written by others"},
    {"{", 0600, "contexts.json:1:"},
    {"[]", 0600, "must be {\"current\""},
    {"{\"current\": 1}", 0600, "must be {\"current\""},
    {"{\"contexts\": []}", 0600, "must be {\"current\""},
    {"{\"contexts\": {\"b\": 1}}", 0600, "every context must be an object"},
    {"{\"contexts\": {\"a\": {\"sokcet\": \"/x\"}}}", 0600, "'sokcet' is not a known key"},
    {"{\"contexts\": {\"a\": {\"socket\": 1}}}", 0600, "'socket' must be a text"},
    {"{\"contexts\": {\"a\": {}}}", 0600, "a socket or a URL is needed"},
    {"{\"contexts\": {\"a\": {\"url\": \"http://example.com\"}}}", 0600, "in the clear"},
    {"{\"contexts\": {\"a\": {\"url\": \"nonsense\"}}}", 0600, "is no URL"},
};

START_TEST(a_file_that_is_wrong_is_told)
{
    begin();
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        struct contexts contexts;
        struct endpoint endpoint;
        struct err err = {.kind = ERR_NONE};
        write_file(files[i].text, files[i].mode);
        endpoint_init(&endpoint);
        bool ok = contexts_load(&contexts, &err);
        ok = ok && contexts_find(&contexts, SLICE("a"), &endpoint, &err);
        ck_assert_msg(ok == (files[i].problem == NULL), "%s: %s", files[i].text, err.text);
        ck_assert_msg(ok || strstr(err.text, files[i].problem) != NULL, "%s: %s", files[i].text,
                      err.text);
        contexts_fini(&contexts);
        endpoint_fini(&endpoint);
    }
    end();
}
END_TEST

UNIT_TESTS("contexts", what_is_saved_is_found_again, a_file_that_is_wrong_is_told)
