#include <string.h>

#include "lbd/base/compiler.h"
#include "lbd/control/control_conditions.h"
#include "tests/unit/live_control.h"
#include "tests/unit/unit.h"

static const char document[] =
    "\"listeners\":{\"web\":{\"bind\":[\"127.0.0.1:0\"],\"default_pool\":\"p\"},"
    "\"own\":{\"bind\":[\"127.0.0.1:0\"]}},"
    "\"routes\":{\"to-q\":{\"listener\":\"web\",\"match\":{\"path\":\"/q\"},\"action\":{\"pool\":\"q\"}},"
    "\"here\":{\"listener\":\"web\",\"match\":{\"path\":\"/h\"},\"action\":{\"respond\":{\"status\":200}}}},"
    "\"pools\":{\"p\":{\"servers\":{\"a\":{\"address\":\"127.0.0.1:1\"},\"b\":{\"address\":\"127.0.0.1:1\"},"
    "\"c\":{\"address\":\"127.0.0.1:1\"}}},\"q\":{\"servers\":{\"a\":{\"address\":\"127.0.0.1:1\"}}},\"empty\":{}}";

static struct live_control live;
static struct control_condition found[CONTROL_CONDITIONS_MAX];

enum kind { LISTENER, ROUTE, POOL, SERVER, PROCESS };

static const struct control_condition *find(enum kind kind, const char *name, const char *server,
                                            const char *type)
{
    uint32_t count = 0;
    switch (kind) {
    case LISTENER:
        count = control_conditions_listener(live.control, slice_from(name), found);
        break;
    case ROUTE:
        count = control_conditions_route(live.control, slice_from(name), found);
        break;
    case POOL:
        count = control_conditions_pool(live.control, slice_from(name), found);
        break;
    case SERVER:
        count =
            control_conditions_server(live.control, slice_from(name), slice_from(server), found);
        break;
    case PROCESS:
        count = control_conditions_process(live.control, found);
        break;
    }
    for (uint32_t i = 0; i < count; i++) {
        ck_assert_msg(found[i].since_wall_us != 0, "%s: since when?", found[i].type);
        ck_assert(found[i].message[0] != '\0');
        if (strcmp(found[i].type, type) == 0) {
            return &found[i];
        }
    }
    ck_abort_msg("%s has no %s", name, type);
    return NULL;
}

static void expect(enum kind kind, const char *name, const char *server, const char *type,
                   bool status, const char *reason)
{
    const struct control_condition *is = find(kind, name, server, type);
    ck_assert_msg(is->status == status && strcmp(is->reason, reason) == 0,
                  "%s %s: %d %s, not %d %s (%s)", name, type, is->status, is->reason, status,
                  reason, is->message);
}

static void set_admin(const char *pool, const char *server, const char *state)
{
    char pointer[100];
    char body[100];
    (void)snprintf(pointer, sizeof(pointer), "/pools/%s/servers/%s", pool, server);
    (void)snprintf(body, sizeof(body), "{\"admin_state\":\"%s\"}", state);
    (void)live_control_change(&live, CONF_EDIT_MERGE, pointer, body);
}

START_TEST(all_is_well_at_first)
{
    static const struct {
        enum kind kind;
        const char *name;
        const char *server;
        const char *reason; /* of Ready */
        bool is_ready;
    } cases[] = {
        {LISTENER, "web", "", "SomeReady", true}, {LISTENER, "own", "", "NoPool", true},
        {ROUTE, "to-q", "", "PoolReady", true},   {ROUTE, "here", "", "OwnAnswer", true},
        {POOL, "p", "", "AllUp", true},           {POOL, "empty", "", "NoServers", false},
        {SERVER, "p", "a", "Up", true},
    };
    live_control_start(&live, document, "");
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        expect(cases[i].kind, cases[i].name, cases[i].server, "Ready", cases[i].is_ready,
               cases[i].reason);
        expect(cases[i].kind, cases[i].name, cases[i].server, "Accepted", true, "Valid");
        expect(cases[i].kind, cases[i].name, cases[i].server, "Programmed", true,
               cases[i].kind == LISTENER ? "Listening" : "Adopted");
        expect(cases[i].kind, cases[i].name, cases[i].server, "ResolvedRefs", true,
               cases[i].kind == SERVER ? "AddressKnown" : "AllFound");
    }
    expect(PROCESS, "", "", "Ready", true, "Serving");
    expect(PROCESS, "", "", "Degraded", false, "AsExpected");
    expect(PROCESS, "", "", "SeedInSync", true, "Same");
    expect(PROCESS, "", "", "Overloaded", false, "AsExpected");
    expect(PROCESS, "", "", "ConfigConfirmed", true, "Confirmed");
    ck_assert_uint_eq(control_conditions_pool(live.control, SLICE("none"), found), 0);
    ck_assert_uint_eq(control_conditions_route(live.control, SLICE("none"), found), 0);
    ck_assert_uint_eq(control_conditions_listener(live.control, SLICE("none"), found), 0);
    ck_assert_uint_eq(control_conditions_server(live.control, SLICE("p"), SLICE("z"), found), 0);
    live_control_stop(&live);
}
END_TEST

START_TEST(a_pool_goes_down_server_by_server)
{
    static const struct {
        const char *server;
        const char *state;
        const char *server_reason;
        const char *pool_reason;
        bool is_ready;
    } steps[] = {
        {"a", "drain", "Draining", "QuorumUp", true},
        {"b", "maint", "Maintenance", "BelowQuorum", true},
        {"c", "maint", "Maintenance", "NoServerUsable", false},
        {"a", "ready", "Up", "BelowQuorum", true},
    };
    live_control_start(&live, document, "");
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        set_admin("p", steps[i].server, steps[i].state);
        expect(SERVER, "p", steps[i].server, "Ready", strcmp(steps[i].state, "ready") == 0,
               steps[i].server_reason);
        expect(POOL, "p", "", "Ready", steps[i].is_ready, steps[i].pool_reason);
        expect(LISTENER, "web", "", "Ready", true, "SomeReady"); /* there is q */
    }
    set_admin("p", "a", "maint");
    set_admin("q", "a", "maint");
    expect(ROUTE, "to-q", "", "Ready", false, "PoolNotReady");
    expect(ROUTE, "here", "", "Ready", true, "OwnAnswer");
    expect(LISTENER, "web", "", "Ready", true, "SomeReady"); /* its own answer is left */
    (void)live_control_change(&live, CONF_EDIT_DELETE, "/routes/here", "");
    expect(LISTENER, "web", "", "Ready", false, "NoneReady");
    live_control_stop(&live);
}
END_TEST

/* Since when: the moment of the change, whoever looks and however often. */
START_TEST(since_moves_with_the_status_only)
{
    live_control_start(&live, document, "");
    uint64_t first = find(POOL, "p", "", "Ready")->since_wall_us;
    uint64_t listener = find(LISTENER, "web", "", "Ready")->since_wall_us;
    set_admin("p", "a", "maint"); /* the reason changes, the status does not */
    ck_assert_uint_eq(find(POOL, "p", "", "Ready")->since_wall_us, first);
    set_admin("p", "b", "maint");
    set_admin("p", "c", "maint");
    uint64_t down = find(POOL, "p", "", "Ready")->since_wall_us;
    ck_assert_uint_gt(down, first);
    (void)live_control_change(&live, CONF_EDIT_MERGE, "/pools/p", "{\"retries\":3}");
    ck_assert_uint_eq(find(POOL, "p", "", "Ready")->since_wall_us, down);
    ck_assert_uint_eq(find(POOL, "p", "", "Accepted")->since_wall_us,
                      find(POOL, "q", "", "Accepted")->since_wall_us);
    ck_assert_uint_eq(find(LISTENER, "web", "", "Ready")->since_wall_us, listener);
    set_admin("p", "c", "ready");
    ck_assert_uint_gt(find(POOL, "p", "", "Ready")->since_wall_us, down);
    live_control_stop(&live);
}
END_TEST

START_TEST(a_drain_ends_readiness)
{
    live_control_start(&live, document, "");
    control_drain(live.control, 10);
    expect(PROCESS, "", "", "Ready", false, "Draining");
    expect(LISTENER, "web", "", "Programmed", false, "Draining");
    expect(LISTENER, "web", "", "Ready", false, "Draining");
    live_control_until(&live, &live.is_drained);
    live_control_stop(&live);
}
END_TEST

UNIT_TESTS("control_conditions", all_is_well_at_first, a_pool_goes_down_server_by_server,
           since_moves_with_the_status_only, a_drain_ends_readiness)
