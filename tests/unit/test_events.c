#include <stdio.h>
#include <string.h>

#include "lbd/base/now.h"
#include "lbd/control/events.h"
#include "tests/unit/unit.h"

static void post_many(struct events *events, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        events_post(events, "server.health", SLICE("web/a"), NULL, "number %u", i);
    }
}

START_TEST(events_are_held_in_order_until_the_ring_is_full)
{
    struct events *events = events_new(1000);
    ck_assert_uint_eq(events_oldest(events), 1000);
    ck_assert_uint_eq(events_next(events), 1000);
    ck_assert(events_holds(events, 1000)); /* a reader that waits for the first one */
    ck_assert_ptr_null(events_at(events, 1000));

    post_many(events, EVENTS_HELD_MAX);
    ck_assert_uint_eq(events_oldest(events), 1000);
    ck_assert_str_eq(events_at(events, 1000)->message, "number 0");
    ck_assert_uint_eq(events_at(events, 1000)->sequence, 1000);

    events_post(events, "drain.done", SLICE("web/a"), NULL, "one more");
    ck_assert_uint_eq(events_oldest(events), 1001);
    ck_assert_ptr_null(events_at(events, 1000));
    ck_assert(!events_holds(events, 1000));
    ck_assert(events_holds(events, 1001));
    ck_assert_str_eq(events_at(events, events_next(events) - 1)->message, "one more");
    events_free(events);
}
END_TEST

START_TEST(a_number_of_another_life_is_not_held)
{
    struct events *events = events_new(5000);
    post_many(events, 3);
    ck_assert(!events_holds(events, 4999)); /* an earlier life */
    ck_assert(!events_holds(events, 5004)); /* the clock was ahead then */
    ck_assert(events_holds(events, 5003));
    ck_assert_ptr_null(events_at(events, UINT64_MAX));
    events_free(events);
}
END_TEST

START_TEST(texts_are_copied_and_bounded)
{
    struct events *events = events_new(1);
    char name[300];
    char message[2000];
    char data[EVENTS_DATA_MAX + 32];
    memset(name, 'n', sizeof(name));
    memset(message, 'm', sizeof(message) - 1);
    message[sizeof(message) - 1] = '\0';
    (void)snprintf(data, sizeof(data), "{\"a\":\"%0*d\"}", EVENTS_DATA_MAX, 0);
    events_post(events, "api.denied", slice_of(name, sizeof(name)), data, "%s", message);
    const struct events_item *item = events_at(events, 1);
    ck_assert_uint_eq(strlen(item->name), EVENTS_NAME_MAX);
    ck_assert_uint_eq(strlen(item->message), EVENTS_MESSAGE_MAX);
    ck_assert_ptr_null(item->data);

    char short_data[] = "{\"a\":1}";
    events_post(events, "api.denied", SLICE_NONE, short_data, "x");
    short_data[2] = 'z';
    item = events_at(events, 2);
    ck_assert_str_eq(item->name, "");
    ck_assert_str_eq(item->data, "{\"a\":1}");
    events_free(events);
}
END_TEST

START_TEST(written_as_one_object)
{
    struct buf text;
    struct json_write w;
    now_set_for_test(1000000, 1770000000123456);
    struct events *events = events_new(7);
    events_post(events, "server.health", SLICE("web/a"), "{\"from\":\"up\",\"to\":\"down\"}",
                "up -> down: \"refused\"");
    buf_init(&text, 4096);
    json_write_init(&w, &text, JSON_COMPACT);
    events_write(events_at(events, 7), &w);
    ck_assert_str_eq(text.data, "{\"sequence\":7,\"time\":\"2026-02-02T02:40:00.123456Z\","
                                "\"type\":\"server.health\",\"name\":\"web/a\","
                                "\"message\":\"up -> down: \\\"refused\\\"\","
                                "\"data\":{\"from\":\"up\",\"to\":\"down\"}}");
    buf_fini(&text);
    events_free(events);
    now_set_for_test(0, 0);
}
END_TEST

static const struct {
    const char *types;
    const char *name;
    bool is_known;
    bool matches; /* drain.progress of web/a */
} filters[] = {
    {"", "", true, true},
    {"drain.progress", "", true, true},
    {"drain.done", "", true, false},
    {"server.health,drain.*", "", true, true},
    {"*", "", false, false}, /* all is an empty filter */
    {"override.*", "", true, false},
    {"drain.", "", true, true}, /* the same as "drain.*" */
    {"drain.x", "", false, false},
    {".", "", false, false},
    {"drain", "", false, false},
    {"drain.progress,", "", true, true}, /* nothing after the last comma */
    {"drain.progress,,drain.done", "", false, true},
    {"", "web/a", true, true},
    {"", "web", true, true}, /* all of a pool */
    {"", "we", true, false},
    {"", "web/", true, false},
    {"", "web/a/", true, false},
    {"", "web/ab", true, false},
    {"drain.*", "web/b", true, false},
};

START_TEST(filters_choose_by_type_and_name)
{
    struct events *events = events_new(1);
    events_post(events, "drain.progress", SLICE("web/a"), NULL, "17 left");
    for (size_t i = 0; i < ARRAY_LEN(filters); i++) {
        struct events_filter filter = {.types = slice_from(filters[i].types),
                                       .name = slice_from(filters[i].name)};
        struct slice bad;
        ck_assert_msg(events_filter_is_known(&filter, &bad) == filters[i].is_known, "known '%s'",
                      filters[i].types);
        ck_assert_msg(events_matches(events_at(events, 1), &filter) == filters[i].matches,
                      "'%s' '%s'", filters[i].types, filters[i].name);
    }
    events_free(events);
}
END_TEST

struct listener_of_test {
    struct events_subscriber subscriber;
    unsigned told;
};

static void on_notify(struct events_subscriber *subscriber)
{
    container_of(subscriber, struct listener_of_test, subscriber)->told++;
}

START_TEST(subscribers_are_told_until_they_leave)
{
    struct events *events = events_new(1);
    struct listener_of_test a = {.subscriber.notify = on_notify};
    struct listener_of_test b = {.subscriber.notify = on_notify};
    events_subscribe(events, &a.subscriber);
    events_subscribe(events, &b.subscriber);
    post_many(events, 2);
    events_unsubscribe(&a.subscriber);
    post_many(events, 1);
    events_unsubscribe(&b.subscriber);
    post_many(events, 1);
    ck_assert_uint_eq(a.told, 2);
    ck_assert_uint_eq(b.told, 3);
    events_free(events);
}
END_TEST

START_TEST(each_type_is_counted)
{
    struct events *events = events_new(1);
    post_many(events, 5);
    events_post(events, "daemon.drain", SLICE("process"), NULL, "drains");
    uint64_t sum = 0;
    for (size_t i = 0; i < events_type_count(); i++) {
        uint64_t want = strcmp(events_type_word(i), "server.health") == 0  ? 5
                        : strcmp(events_type_word(i), "daemon.drain") == 0 ? 1
                                                                           : 0;
        ck_assert_uint_eq(events_posted(events, i), want);
        sum += want;
    }
    ck_assert_uint_eq(sum, 6);
    events_post(NULL, "daemon.drain", SLICE("process"), NULL, "nobody"); /* nothing to post to */
    events_free(events);
    events_free(NULL);
}
END_TEST

UNIT_TESTS("events", events_are_held_in_order_until_the_ring_is_full,
           a_number_of_another_life_is_not_held, texts_are_copied_and_bounded,
           written_as_one_object, filters_choose_by_type_and_name,
           subscribers_are_told_until_they_leave, each_type_is_counted)
