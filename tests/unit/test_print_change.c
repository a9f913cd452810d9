#include <stdlib.h>

#include "ctl/print_change.h"
#include "tests/unit/unit.h"

START_TEST(added_changed_and_removed)
{
    static const char answer[] =
        "{\"changes\":[{\"pointer\":\"#/a\",\"after\":{\"x\":1}},"
        "{\"pointer\":\"/b\",\"before\":1,\"after\":\"two\\u001b\"},"
        "{\"pointer\":\"/c\",\"before\":[1],\"after\":null}],\"changes_total\":5}";
    struct ctl ctl;
    char *text = NULL;
    size_t len;
    struct json *json = json_parse_trusted(slice_from(answer));
    ctl_init(&ctl);
    ctl.out = open_memstream(&text, &len);
    ck_assert_uint_eq(print_change_count(json), 5);
    print_change_list(&ctl, ctl.out, json);
    (void)fclose(ctl.out);
    ck_assert_str_eq(text,
                     "+ /a: {\"x\":1}\n~ /b: 1 -> \"two\\u001b\"\n- /c: [1]\n... and 2 more\n");
    free(text);
    json_free(json);
    ck_assert_uint_eq(print_change_count(NULL), 0);
}
END_TEST

/* What stands in for a certificate: without its beginning nobody could tell them apart. */
START_TEST(long_texts_by_their_beginning)
{
    static const char answer[] =
        "{\"changes\":[{\"pointer\":\"/stored\",\"before\":\"sha256:9cce313178f4aaaaaaaaaaaaaaaaaaaa"
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\",\"after\":\"sha256:5d0c\"},{\"pointer\":\"/list\","
        "\"after\":[\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\",\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"]}],"
        "\"changes_total\":2}";
    struct ctl ctl;
    char *text = NULL;
    size_t len;
    struct json *json = json_parse_trusted(slice_from(answer));
    ctl_init(&ctl);
    ctl.out = open_memstream(&text, &len);
    print_change_list(&ctl, ctl.out, json);
    (void)fclose(ctl.out);
    ck_assert_str_eq(text,
                     "~ /stored: \"sha256:9cce313178f4aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                     "...\" -> \"sha256:5d0c\"\n+ /list: ...\n");
    free(text);
    json_free(json);
}
END_TEST

UNIT_TESTS("print_change", added_changed_and_removed, long_texts_by_their_beginning)
