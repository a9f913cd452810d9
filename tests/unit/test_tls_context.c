#include <string.h>
#include <unistd.h>

#include "lbd/base/compiler.h"
#include "lbd/base/now.h"
#include "lbd/tls/tls_context.h"
#include "tests/unit/tls_files.h"
#include "tests/unit/unit.h"

static struct tls_files files;

static struct tls_context_options server_options(void)
{
    return (struct tls_context_options){.is_server = true,
                                        .chain_file = files.chain,
                                        .key_file = files.key,
                                        .ca_file = files.ca,
                                        .protocol = "http/1.1"};
}

START_TEST(says_which_file_is_wrong)
{
    struct err err = {0};
    tls_files_begin(&files);
    struct tls_context_options options = server_options();
    struct tls_context *context = tls_context_new(&options, &err);
    ck_assert_msg(context != NULL, "%s", err.text);
    ck_assert(tls_context_is_for(context, SLICE("localhost")));
    ck_assert(tls_context_is_for(context, SLICE("LocalHost")));
    ck_assert(!tls_context_is_for(context, SLICE("localhost.evil")));
    ck_assert(!tls_context_is_for(context, SLICE("")));
    ck_assert_uint_gt(tls_context_not_after_us(context), now_wall_us());
    const struct tls_context_options nothing = {.ca_file = files.ca};
    struct tls_context *client = tls_context_new(&nothing, &err);
    ck_assert_msg(client != NULL, "%s", err.text);
    ck_assert_uint_eq(tls_context_not_after_us(client), 0);
    tls_context_unref(client);
    tls_context_unref(tls_context_ref(context));
    tls_context_unref(context);
    tls_context_unref(NULL);

    const struct {
        const char **file;
        const char *value;
        const char *has;
    } cases[] = {
        {&options.chain_file, "/nowhere", "cannot open the certificate '/nowhere'"},
        {&options.chain_file, files.key, "cannot read the certificate"},
        {&options.key_file, files.client_key, "is not that of the certificate"},
        {&options.key_file, "/nowhere", "cannot open the key '/nowhere' as user"},
        {&options.ca_file, files.key, "cannot read the set of authorities"},
        {&options.ca_file, "/nowhere", "cannot open the set of authorities '/nowhere'"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        options = server_options();
        *cases[i].file = cases[i].value;
        ck_assert_ptr_null(tls_context_new(&options, &err));
        ck_assert_int_eq(err.kind, ERR_INVALID);
        ck_assert_msg(strstr(err.text, cases[i].has) != NULL, "%s", err.text);
    }
    tls_files_end(&files);
}
END_TEST

START_TEST(a_file_that_changed_makes_a_new_one)
{
    struct err err = {0};
    tls_files_begin(&files);
    struct tls_context_options options = server_options();
    struct tls_context *context = tls_context_new(&options, &err);
    ck_assert_ptr_nonnull(context);
    struct tls_context *first = context;
    ck_assert_int_eq(tls_context_refresh(&context, &err), TLS_CONTEXT_SAME);
    tls_files_renew(&files);
    ck_assert_int_eq(tls_context_refresh(&context, &err), TLS_CONTEXT_READ);
    ck_assert_int_eq(tls_context_refresh(&context, &err), TLS_CONTEXT_SAME);

    first = context; /* half of a change: the old one stays, told once */
    tls_files_write(files.chain, "nothing\n", 0644);
    ck_assert_int_eq(tls_context_refresh(&context, &err), TLS_CONTEXT_BAD);
    ck_assert_ptr_nonnull(strstr(err.text, files.chain));
    ck_assert_int_eq(tls_context_refresh(&context, &err), TLS_CONTEXT_SAME);
    ck_assert_ptr_eq(context, first);
    (void)unlink(files.chain);
    ck_assert_int_eq(tls_context_refresh(&context, &err), TLS_CONTEXT_BAD);
    ck_assert_ptr_eq(context, first);
    tls_files_renew(&files);
    ck_assert_int_eq(tls_context_refresh(&context, &err), TLS_CONTEXT_READ);
    ck_assert_int_eq(tls_context_reload(&context, &err), TLS_CONTEXT_READ); /* asked to */
    tls_context_unref(context);
    tls_files_end(&files);
}
END_TEST

UNIT_TESTS("tls_context", says_which_file_is_wrong, a_file_that_changed_makes_a_new_one)
