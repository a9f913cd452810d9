#include <string.h>

#include "lbd/base/now.h"
#include "lbd/control/control_resolve.h"
#include "tests/unit/dns_peer.h"
#include "tests/unit/unit.h"

enum { EVERY_MS = 60, POOLS = 2, SERVERS = 8 };

/* What changed() said, in order. */
struct told {
    char lines[40][512];
    uint32_t count;
    uint32_t members; /* changes of them */
};

struct field {
    struct loop *loop;
    struct dns_peer peer;
    struct control_resolve *resolve;
    struct told told;
    struct dns_peer_name names[4];
    struct conf conf;
    struct conf_pool pools[POOLS];
    struct conf_server servers[POOLS][SERVERS];
};

static void note(struct slice pool, struct slice server, const struct addr *address, void *arg)
{
    struct told *told = arg;
    char text[ADDR_TEXT_MAX];
    ck_assert_uint_lt(told->count, ARRAY_LEN(told->lines));
    (void)addr_write(address, text);
    (void)snprintf(told->lines[told->count++], sizeof(told->lines[0]), "%.*s/%.*s=%s",
                   SLICE_ARG(pool), SLICE_ARG(server), text);
}

static void note_members(void *arg)
{
    struct told *told = arg;
    told->members++;
}

static void field_init(struct field *field)
{
    struct err err;
    memset(field, 0, sizeof(*field));
    now_set_for_test(now_us(), now_wall_us());
    field->loop = loop_new(&err);
    ck_assert_ptr_nonnull(field->loop);
    field->names[0] = (struct dns_peer_name){"one.test", "10.0.0.1", ""};
    field->names[1] = (struct dns_peer_name){"two.test", "10.0.0.2", ""};
    dns_peer_init(&field->peer, field->loop, field->names);
    struct slice server = slice_from(field->peer.address);
    const struct control_resolve_options options = {
        .loop = field->loop,
        .resolvers = &server,
        .resolver_count = 1,
        .changed = note,
        .members_changed = note_members,
        .arg = &field->told,
        .every_ms = EVERY_MS,
    };
    field->resolve = control_resolve_new(&options, &err);
    ck_assert_msg(field->resolve != NULL, "%s", err.text);
    static const char *const pool_names[POOLS] = {"p", "q"};
    for (size_t p = 0; p < POOLS; p++) {
        field->pools[p].name = slice_from(pool_names[p]);
        field->pools[p].servers = field->servers[p];
        field->pools[p].dns.retry_ms = 10;
    }
    field->conf.pools = field->pools;
}

static void field_fini(struct field *field)
{
    control_resolve_free(field->resolve);
    dns_peer_fini(&field->peer);
    loop_free(field->loop);
    now_set_for_test(0, 0);
}

/* addresses: "name=address ..." of pool `p`. */
static void set_pool(struct field *field, size_t p, const char *addresses)
{
    field->pools[p].server_count = 0;
    struct slice rest = slice_from(addresses);
    struct slice part;
    while (addresses[0] != '\0' && slice_split(&rest, ' ', &part)) {
        size_t equals = slice_find(part, '=');
        struct conf_server *server = &field->servers[p][field->pools[p].server_count++];
        server->name = slice_of(part.ptr, equals);
        server->address = slice_from_at(part, equals + 1);
    }
    if (field->conf.pool_count <= p) {
        field->conf.pool_count = (uint32_t)p + 1;
    }
}

static void apply(struct field *field)
{
    control_resolve_apply_templates(field->resolve, &field->conf);
    control_resolve_apply_servers(field->resolve, &field->conf);
}

/* A millisecond passes, however long this machine needs for it: the clock is the test's. */
static void pass(struct field *field)
{
    now_set_for_test(now_us() + 1000, now_wall_us() + 1000);
    for (uint32_t i = 0; i < 4; i++) {
        loop_run_once(field->loop, 0); /* who asks and the name server talk in one loop */
    }
}

static void run_ms(struct field *field, uint64_t ms)
{
    uint64_t end_ms = now_ms() + ms;
    while (now_ms() < end_ms) {
        pass(field);
    }
}

/* Until `count` lines were told, at most 5 s. */
static void run_until(struct field *field, uint32_t count)
{
    uint64_t end_ms = now_ms() + 5000;
    while (field->told.count < count && now_ms() < end_ms) {
        pass(field);
    }
    ck_assert_uint_eq(field->told.count, count);
}

static void expect(const struct field *field, uint32_t line, const char *want)
{
    ck_assert_uint_gt(field->told.count, line);
    ck_assert_str_eq(field->told.lines[line], want);
}

START_TEST(names_are_resolved_and_literals_left_alone)
{
    struct field field;
    field_init(&field);
    set_pool(&field, 0, "a=one.test:80 b=10.9.9.9:80 c=unix:/run/x d=[::1]:80");
    apply(&field);
    ck_assert_uint_eq(field.told.count, 0); /* nothing is known during the call */
    run_until(&field, 1);
    expect(&field, 0, "p/a=10.0.0.1:80");

    struct control_resolve_facts facts;
    ck_assert(control_resolve_look(field.resolve, SLICE("p"), SLICE("a"), &facts));
    ck_assert_uint_eq(addr_port(&facts.address), 80);
    ck_assert_uint_eq(facts.version, 1);
    ck_assert_str_eq(facts.failure, "");
    ck_assert_uint_gt(facts.last_wall_us, 0);
    ck_assert(!control_resolve_look(field.resolve, SLICE("p"), SLICE("b"), &facts));
    ck_assert(!control_resolve_look(field.resolve, SLICE("p"), SLICE("c"), &facts));
    ck_assert(!control_resolve_look(field.resolve, SLICE("p"), SLICE("zz"), &facts));
    ck_assert(!control_resolve_look(field.resolve, SLICE("zz"), SLICE("a"), &facts));
    field_fini(&field);
}
END_TEST

START_TEST(a_name_is_asked_once_for_all_its_servers)
{
    struct field field;
    field_init(&field);
    set_pool(&field, 0, "a=one.test:80 b=ONE.test:81");
    set_pool(&field, 1, "a=one.test:82");
    apply(&field);
    run_until(&field, 3);
    ck_assert_uint_le(field.peer.questions, 1);
    field_fini(&field);
}
END_TEST

START_TEST(a_change_is_told_and_sameness_is_not)
{
    struct field field;
    field_init(&field);
    set_pool(&field, 0, "a=one.test:80");
    apply(&field);
    run_until(&field, 1);
    run_ms(&field, 4 * EVERY_MS);
    ck_assert_uint_ge(field.peer.questions, 3); /* asked again and again */
    ck_assert_uint_eq(field.told.count, 1);
    field.names[0].a = "10.0.0.77";
    run_until(&field, 2);
    expect(&field, 1, "p/a=10.0.0.77:80");
    struct control_resolve_facts facts;
    ck_assert(control_resolve_look(field.resolve, SLICE("p"), SLICE("a"), &facts));
    ck_assert_uint_eq(facts.version, 2);
    field_fini(&field);
}
END_TEST

START_TEST(a_name_that_stops_resolving_keeps_its_address)
{
    struct field field;
    field_init(&field);
    set_pool(&field, 0, "a=one.test:80");
    apply(&field);
    run_until(&field, 1);
    field.names[0].name = "gone.test";
    run_ms(&field, 4 * EVERY_MS);
    ck_assert_uint_eq(field.told.count, 1);
    struct control_resolve_facts facts;
    ck_assert(control_resolve_look(field.resolve, SLICE("p"), SLICE("a"), &facts));
    ck_assert_uint_ne(facts.address.len, 0);
    ck_assert_str_eq(facts.failure, "no such name");
    ck_assert_uint_gt(facts.failures, 0);
    field.names[0].name = "one.test";
    run_ms(&field, 4 * EVERY_MS);
    ck_assert(control_resolve_look(field.resolve, SLICE("p"), SLICE("a"), &facts));
    ck_assert_str_eq(facts.failure, "");
    ck_assert_uint_eq(field.told.count, 1);
    field_fini(&field);
}
END_TEST

START_TEST(a_name_that_does_not_resolve_is_a_state)
{
    struct field field;
    field_init(&field);
    set_pool(&field, 0, "a=missing.test:80 b=one.test:80");
    apply(&field);
    run_until(&field, 1);
    expect(&field, 0, "p/b=10.0.0.1:80");
    run_ms(&field, EVERY_MS);
    struct control_resolve_facts facts;
    ck_assert(control_resolve_look(field.resolve, SLICE("p"), SLICE("a"), &facts));
    ck_assert_uint_eq(facts.address.len, 0);
    ck_assert_str_eq(facts.failure, "no such name");
    field.names[2] = (struct dns_peer_name){"missing.test", "10.0.0.5", ""};
    run_until(&field, 2); /* it came into being */
    expect(&field, 1, "p/a=10.0.0.5:80");
    field_fini(&field);
}
END_TEST

static bool is_known(const struct field *field, const char *text, struct addr *address)
{
    const struct conf_server server = {.name = SLICE("new"), .address = slice_from(text)};
    return control_resolve_known(field->resolve, &field->pools[0], &server, address);
}

START_TEST(a_new_server_under_a_known_name_is_told_at_once)
{
    struct field field;
    field_init(&field);
    set_pool(&field, 0, "a=one.test:80");
    apply(&field);
    run_until(&field, 1);
    set_pool(&field, 0, "a=one.test:80 b=one.test:81");
    apply(&field);
    ck_assert_uint_eq(field.told.count, 2); /* during the call; a is not told again */
    expect(&field, 1, "p/b=10.0.0.1:81");
    set_pool(&field, 0, "a=one.test:90 b=one.test:81");
    apply(&field);
    expect(&field, 2, "p/a=10.0.0.1:90"); /* another port is another address */
    ck_assert_uint_eq(field.told.count, 3);

    struct addr address;
    char text[ADDR_TEXT_MAX];
    ck_assert(is_known(&field, "One.Test:99", &address));
    (void)addr_write(&address, text);
    ck_assert_str_eq(text, "10.0.0.1:99");
    ck_assert(!is_known(&field, "two.test:99", &address));
    ck_assert(!is_known(&field, "10.0.0.1:99", &address));
    ck_assert(!is_known(&field, "unix:/x", &address));
    field_fini(&field);
}
END_TEST

START_TEST(names_nobody_uses_are_not_asked_any_more)
{
    struct field field;
    field_init(&field);
    set_pool(&field, 0, "a=one.test:80 b=two.test:80");
    set_pool(&field, 1, "a=two.test:80");
    apply(&field);
    run_until(&field, 3);
    set_pool(&field, 0, "a=10.0.0.1:80");
    field.conf.pool_count = 1;
    apply(&field);
    run_ms(&field, EVERY_MS);
    uint32_t questions = field.peer.questions;
    run_ms(&field, 4 * EVERY_MS);
    ck_assert_uint_eq(field.peer.questions, questions);
    field_fini(&field);
}
END_TEST

START_TEST(a_pool_of_the_same_version_is_not_looked_at)
{
    struct field field;
    field_init(&field);
    field.pools[0].version = 5;
    set_pool(&field, 0, "a=one.test:80");
    apply(&field);
    run_until(&field, 1);
    set_pool(&field, 0, ""); /* would not be: same version, other content */
    apply(&field);
    struct control_resolve_facts facts;
    ck_assert(control_resolve_look(field.resolve, SLICE("p"), SLICE("a"), &facts));
    field.pools[0].version = 6;
    apply(&field);
    ck_assert(!control_resolve_look(field.resolve, SLICE("p"), SLICE("a"), &facts));
    field_fini(&field);
}
END_TEST

/* "name=address weight ..." of the template `t` of pool `p`. */
static void expect_members(const struct field *field, const char *want)
{
    char got[1024] = "";
    size_t len = 0;
    uint32_t count = 0;
    const struct control_resolve_member *members =
        control_resolve_members(field->resolve, &field->pools[0], &field->servers[0][0], &count);
    for (uint32_t i = 0; i < count; i++) {
        char pinned[ADDR_TEXT_MAX];
        (void)addr_write(&members[i].pinned, pinned);
        len += (size_t)snprintf(got + len, sizeof(got) - len, "%s=%s@%s;", members[i].name,
                                members[i].address, pinned);
    }
    ck_assert_str_eq(got, want);
}

START_TEST(a_template_has_a_member_for_each_address)
{
    struct field field;
    field_init(&field);
    set_pool(&field, 0, "t=dns:One.test:80");
    apply(&field);
    expect_members(&field, "");
    field.names[0].a = "10.0.0.3 10.0.0.1 10.0.0.1";
    run_ms(&field, EVERY_MS / 2);
    expect_members(&field,
                   "t-10-0-0-1=one.test:80@10.0.0.1:80;t-10-0-0-3=one.test:80@10.0.0.3:80;");
    ck_assert_uint_eq(field.told.members, 1);
    field.names[0].a = "10.0.0.1 10.0.0.3"; /* another order is no change */
    run_ms(&field, 3 * EVERY_MS);
    ck_assert_uint_eq(field.told.members, 1);
    field.names[0].a = "10.0.0.3";
    run_ms(&field, 3 * EVERY_MS);
    expect_members(&field, "t-10-0-0-3=one.test:80@10.0.0.3:80;");
    ck_assert_uint_eq(field.told.members, 2);
    field.names[0] = (struct dns_peer_name){"one.test", "", "2001:db8::"};
    run_ms(&field, 3 * EVERY_MS);
    uint32_t count = 0;
    const struct control_resolve_member *six =
        control_resolve_members(field.resolve, &field.pools[0], &field.servers[0][0], &count);
    ck_assert_uint_eq(count, 1);
    ck_assert_msg(strncmp(six->name, "t-2001-db8---", 13) == 0 && strlen(six->name) > 20, "%s",
                  six->name); /* a name does not end in '-' */
    ck_assert_uint_eq(field.told.count, 0);
    field_fini(&field);
}
END_TEST

START_TEST(an_empty_answer_may_be_believed)
{
    struct field field;
    field_init(&field);
    field.pools[0].dns.on_empty = CONF_DNS_EMPTY_DOWN;
    set_pool(&field, 0, "a=one.test:80");
    set_pool(&field, 1, "a=one.test:80"); /* other rules: a name of its own */
    apply(&field);
    run_until(&field, 2);
    field.names[0].name = "gone.test";
    run_until(&field, 3);
    expect(&field, 2, "p/a=");
    run_ms(&field, 2 * EVERY_MS);
    ck_assert_uint_eq(field.told.count, 3);
    ck_assert_uint_eq(control_resolve_stats(field.resolve).names, 2);
    ck_assert_uint_eq(control_resolve_stats(field.resolve).stale, 1);
    field_fini(&field);
}
END_TEST

START_TEST(what_is_stale_ends_at_its_time_whenever_it_is_asked_next)
{
    struct field field;
    field_init(&field);
    field.pools[0].dns.retry_ms = 100000;
    field.pools[0].dns.stale_for_ms = 2000;
    set_pool(&field, 0, "a=one.test:80 b=two.test:80");
    apply(&field);
    run_until(&field, 2);
    field.names[0].name = "gone.test";
    run_ms(&field, 31800); /* its time to live is 30 s */
    ck_assert_uint_eq(field.told.count, 2);
    run_ms(&field, 300);
    ck_assert_uint_eq(field.told.count, 3); /* long before it is asked again */
    expect(&field, 2, "p/a=");
    run_ms(&field, 5000);
    ck_assert_uint_eq(field.told.count, 3);
    field_fini(&field);
}
END_TEST

START_TEST(freeing_it_while_questions_are_open)
{
    struct field field;
    field_init(&field);
    field.peer.mood = DNS_PEER_SILENT;
    set_pool(&field, 0, "a=one.test:80 b=two.test:80");
    apply(&field);
    loop_run_once(field.loop, 5);
    set_pool(&field, 0, "b=two.test:80"); /* and one name goes while it is asked */
    apply(&field);
    loop_run_once(field.loop, 5);
    field_fini(&field);
    control_resolve_free(NULL);
}
END_TEST

UNIT_TESTS("control_resolve", names_are_resolved_and_literals_left_alone,
           a_name_is_asked_once_for_all_its_servers, a_change_is_told_and_sameness_is_not,
           a_name_that_stops_resolving_keeps_its_address, a_name_that_does_not_resolve_is_a_state,
           a_new_server_under_a_known_name_is_told_at_once,
           a_template_has_a_member_for_each_address, an_empty_answer_may_be_believed,
           names_nobody_uses_are_not_asked_any_more, a_pool_of_the_same_version_is_not_looked_at,
           what_is_stale_ends_at_its_time_whenever_it_is_asked_next,
           freeing_it_while_questions_are_open)
