#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lbd/proxy/mail_cache.h"
#include "tests/unit/unit.h"
#include "tests/unit/upstream_stand.h"

/* Two workers in one thread: the test turns their loops and reads their mailboxes. */
static struct upstream_stand stand;
static struct loop_stand other_base;
static struct upstream_worker other_upstream;
static struct mailbox boxes[2];
static struct mail_cache *cache;
static struct mail_cache_worker *workers[2];
static struct slab slab;

static struct conf_mail_cache conf;
static const struct mail_seat no_seat;

static void setup(void)
{
    const struct upstream_stand_options options = {.servers = 2};
    struct err err;
    upstream_stand_open(&stand, &options);
    loop_stand_open(&other_base);
    upstream_worker_init(&other_upstream, other_base.loop, counters_worker(0), 0, 1);
    slab_init(&slab, sizeof(struct imap_track_work), (size_t)64 * 1024);
    cache = mail_cache_new(2, NULL, &err);
    ck_assert_ptr_nonnull(cache);
    for (int i = 0; i < 2; i++) {
        ck_assert(mailbox_init(&boxes[i], NULL, &err));
    }
    workers[0] = mail_cache_worker_new(cache, 0, &boxes[0], &stand.upstream);
    workers[1] = mail_cache_worker_new(cache, 1, &boxes[1], &other_upstream);
    conf = (struct conf_mail_cache){
        .idle_ttl_ms = 120000, .max_age_ms = 900000, .per_user = 4, .per_pool = 1000};
}

static void settle(void)
{
    for (int i = 0; i < 4; i++) {
        (void)mailbox_drain(&boxes[0]);
        (void)mailbox_drain(&boxes[1]);
        loop_stand_settle(&stand.base);
        loop_stand_settle(&other_base);
    }
}

static uint64_t parked_now(void)
{
    struct mail_cache_stats stats;
    mail_cache_stats(cache, &stats);
    return stats.parked_now;
}

static void end_all(void)
{
    mail_cache_worker_end(workers[0]);
    mail_cache_worker_end(workers[1]);
    upstream_conn_end_lingering(&stand.upstream);
    upstream_conn_end_lingering(&other_upstream);
    loop_stand_settle(&other_base);
    mail_cache_free(cache);
    cache = NULL;
}

static void teardown(void)
{
    if (cache != NULL) {
        settle();
        end_all();
    }
    for (int i = 0; i < 2; i++) {
        mailbox_fini(&boxes[i]);
    }
    slab_fini(&slab);
    upstream_worker_fini(&other_upstream);
    loop_stand_close(&other_base);
    upstream_stand_close(&stand);
}

static void tick(uint64_t more_ms)
{
    upstream_stand_tick(&stand, more_ms);
    settle();
}

static void expect_end(enum mail_cache_end end, uint64_t count)
{
    struct mail_cache_stats stats;
    mail_cache_stats(cache, &stats);
    ck_assert_msg(stats.ends[end] == count, "%s: %lu, not %lu", mail_cache_end_word(end),
                  (unsigned long)stats.ends[end], (unsigned long)count);
}

static void expect_miss(enum mail_cache_miss miss, uint64_t count)
{
    struct mail_cache_stats stats;
    mail_cache_stats(cache, &stats);
    ck_assert_msg(stats.misses[miss] == count, "%s: %lu, not %lu", mail_cache_miss_word(miss),
                  (unsigned long)stats.misses[miss], (unsigned long)count);
}

/* -- sessions -- */

static struct mail_cache_entry *login_as(int worker, const char *user, const char *secret)
{
    const struct mail_cache_login login = {
        .conf = &conf,
        .group = SLICE("imap"),
        .pool = stand.pool,
        .user = slice_from(user),
        .login = slice_from(user),
        .secret = slice_from(secret),
        .mechanism = MAIL_PLAIN,
    };
    return mail_cache_entry_new(workers[worker], &login);
}

static void no_events(struct conn *conn)
{
    (void)conn;
}
static const struct conn_ops session_ops = {no_events, no_events, no_events};

struct session_of_test {
    struct mail_cache_entry *entry;
    struct upstream_conn *conn;
    int server; /* its end */
};

static void on_opened(struct upstream_conn_waiter *waiter, struct upstream_conn *conn,
                      enum close_reason reason)
{
    (void)reason;
    (void)waiter;
    (void)conn;
}

/* A login that goes to the server, which lets it in. */
static struct session_of_test log_in(int worker, const char *user, const char *secret)
{
    struct session_of_test session = {.entry = login_as(worker, user, secret)};
    struct upstream_conn_waiter waiter = {.fn = on_opened};
    enum close_reason reason;
    enum upstream_open open =
        upstream_conn_open(worker == 0 ? &stand.upstream : &other_upstream, stand.pool, 0, NULL,
                           &waiter, &session.conn, &reason);
    if (open == UPSTREAM_PENDING) {
        session.conn = waiter.conn;
        settle();
    }
    ck_assert_int_ne(open, UPSTREAM_FAILED);
    session.conn->conn.ops = &session_ops;
    session.server = upstream_stand_accept(&stand, 0);
    mail_cache_logged_in(workers[worker], session.entry, SLICE("IMAP4rev1 UNSELECT"), 300, 700);
    return session;
}

/* What it ends with. */
static bool offer(int worker, const struct session_of_test *session, bool mailbox)
{
    struct imap_track track;
    imap_track_init(&track, SLICE("UNSELECT"), &slab);
    if (mailbox) {
        (void)imap_track_client(&track, "a SELECT x\r\n", 12);
        imap_track_server(&track, "a OK x\r\n", 8);
    }
    bool ok = mail_cache_offer(workers[worker], session->entry, session->conn, &track, &no_seat);
    imap_track_fini(&track);
    return ok;
}

/* Answers the last command that lbd sent with `answer` ("OK x"), and others with OK. */
static void serve(int server, const char *answer)
{
    char asked[512];
    char said[512] = ""; /* at once: a second small write would wait for an acknowledgement */
    size_t said_len = 0;
    settle();
    size_t len = peer_read(server, asked, sizeof(asked) - 1);
    asked[len] = '\0';
    ck_assert_msg(len > 0, "nothing was asked");
    for (char *at = asked; *at != '\0';) {
        char *end = strstr(at, "\r\n");
        ck_assert_ptr_nonnull(end);
        bool is_last = end[2] == '\0';
        said_len += (size_t)snprintf(said + said_len, sizeof(said) - said_len, "%.*s %s\r\n",
                                     (int)strcspn(at, " "), at, is_last ? answer : "OK x");
        at = end + 2;
    }
    peer_say(server, said);
    settle();
}

static void park(int worker, const struct session_of_test *session)
{
    uint64_t before = parked_now();
    ck_assert(offer(worker, session, true));
    serve(session->server, "OK x");
    ck_assert_uint_eq(parked_now(), before + 1);
}

static struct {
    struct mail_cache_waiter waiter;
    unsigned called;
    bool hit;
    struct mail_cache_hit got;
} asker;

static void on_taken(struct mail_cache_waiter *waiter, const struct mail_cache_hit *hit)
{
    ck_assert_ptr_eq(waiter, &asker.waiter);
    asker.called++;
    asker.hit = hit != NULL;
    if (hit != NULL) {
        asker.got = *hit;
        hit->conn->conn.ops = &session_ops;
    }
}

static enum mail_cache_answer take(int worker, struct mail_cache_entry *entry, uint32_t server)
{
    memset(&asker, 0, sizeof(asker));
    asker.waiter.fn = on_taken;
    enum mail_cache_answer answer =
        mail_cache_take(workers[worker], entry, stand.servers[server], &asker.waiter, &asker.got);
    if (answer == MAIL_CACHE_HIT) {
        asker.got.conn->conn.ops = &session_ops;
    }
    return answer;
}

static enum mail_cache_answer take_as(int worker, const char *user, const char *secret)
{
    struct mail_cache_entry *entry = login_as(worker, user, secret);
    enum mail_cache_answer answer = take(worker, entry, 0);
    if (answer == MAIL_CACHE_HIT) {
        upstream_conn_end(worker == 0 ? &stand.upstream : &other_upstream, asker.got.conn);
    }
    ck_assert_int_ne(answer, MAIL_CACHE_PENDING);
    mail_cache_entry_free(entry);
    return answer;
}

static void end_session(int worker, struct mail_cache_entry *entry, struct upstream_conn *conn)
{
    upstream_conn_end(worker == 0 ? &stand.upstream : &other_upstream, conn);
    mail_cache_entry_free(entry);
}

static void say_to_server(struct upstream_conn *conn, int server, const char *text)
{
    char got[64];
    struct iovec piece = {.iov_base = (char *)(uintptr_t)text, .iov_len = strlen(text)};
    ck_assert(conn_write(&conn->conn, &piece, 1));
    settle();
    size_t len = peer_read(server, got, sizeof(got));
    ck_assert(slice_eq(slice_of(got, len), slice_from(text)));
}

/* The session that got ann's connection talks to the server, and leaves it to the next one. */
static void use_and_park_again(int worker, struct mail_cache_entry *entry, int server)
{
    struct session_of_test again = {entry, asker.got.conn, server};
    say_to_server(again.conn, server, "b NOOP\r\n");
    park(worker, &again);
    ck_assert_int_eq(take_as(worker, "ann", "pw"), MAIL_CACHE_HIT);
    (void)close(server);
}

/* -- tests -- */

START_TEST(what_is_clean_is_used_again)
{
    struct session_of_test first = log_in(0, "ann", "pw");
    park(0, &first);
    struct mail_cache_entry *entry = login_as(0, "ann", "pw");
    ck_assert_int_eq(take(0, entry, 0), MAIL_CACHE_HIT);
    ck_assert(slice_eq(asker.got.capabilities, SLICE("IMAP4rev1 UNSELECT")));
    ck_assert_uint_eq(asker.got.untagged.len, 0);
    ck_assert_uint_eq(parked_now(), 0);
    use_and_park_again(0, entry, first.server);
}
END_TEST

START_TEST(a_wrong_secret_gets_nothing_and_changes_nothing)
{
    struct session_of_test first = log_in(0, "ann", "pw");
    park(0, &first);
    ck_assert_int_eq(take_as(0, "ann", "wrong"), MAIL_CACHE_MISS);
    ck_assert_int_eq(take_as(0, "bob", "pw"), MAIL_CACHE_MISS);
    expect_miss(MAIL_CACHE_MISS_SECRET, 1);
    expect_miss(MAIL_CACHE_MISS_NONE, 1);
    ck_assert_uint_eq(parked_now(), 1);
    ck_assert_int_eq(take_as(0, "ann", "pw"), MAIL_CACHE_HIT);
    (void)close(first.server);
}
END_TEST

START_TEST(a_user_is_at_one_server)
{
    struct session_of_test ann = log_in(0, "ann", "pw");
    struct session_of_test bob = log_in(0, "bob", "pw");
    park(0, &ann);
    park(0, &bob);
    struct mail_cache_entry *entry = login_as(1, "ann", "other"); /* it is at the other one now */
    ck_assert_int_eq(take(1, entry, 1), MAIL_CACHE_MISS);
    mail_cache_entry_free(entry);
    expect_miss(MAIL_CACHE_MISS_SERVER, 1);
    settle();
    expect_end(MAIL_CACHE_END_SERVER, 1);
    ck_assert_uint_eq(parked_now(), 1);
    (void)close(ann.server);
    (void)close(bob.server);
}
END_TEST

START_TEST(a_new_password_ends_what_the_old_one_left)
{
    struct session_of_test parked = log_in(0, "ann", "old");
    park(0, &parked);
    struct session_of_test open = log_in(0, "ann", "old");
    struct session_of_test changed = log_in(1, "ann", "new");
    settle();
    ck_assert_uint_eq(parked_now(), 0);
    expect_end(MAIL_CACHE_END_FORGOTTEN, 1);
    ck_assert_int_eq(take_as(0, "ann", "old"), MAIL_CACHE_MISS);
    /* a session that is still open with it is not kept either */
    ck_assert(!offer(0, &open, false));
    expect_end(MAIL_CACHE_END_FORGOTTEN, 2);
    end_session(0, open.entry, open.conn);
    park(1, &changed);
    ck_assert_int_eq(take_as(1, "ann", "new"), MAIL_CACHE_HIT);
    (void)close(parked.server);
    (void)close(open.server);
    (void)close(changed.server);
}
END_TEST

static const struct {
    const char *steps; /* of a session: 'C' and 'S' */
    enum mail_cache_end end;
} unclean[] = {
    {"Ca NOOP\r\n\0", MAIL_CACHE_END_OUTSTANDING},
    {"Ca IDLE\r\n\0S+ x\r\n\0", MAIL_CACHE_END_OUTSTANDING},
    {"Ca ENABLE UTF8=ACCEPT\r\n\0Sa OK x\r\n\0", MAIL_CACHE_END_STICKY},
    {"Ca COMPRESS DEFLATE\r\n\0Sa OK x\r\n\0", MAIL_CACHE_END_OPAQUE},
    {"S* BYE x\r\n\0", MAIL_CACHE_END_BYE},
    {"Ca SELECT x\r\n\0Sa OK x\r\n\0", MAIL_CACHE_END_MAILBOX}, /* no UNSELECT */
};

START_TEST(what_is_not_clean_is_not_taken_in)
{
    struct session_of_test session = log_in(0, "ann", "pw");
    struct imap_track track;
    imap_track_init(&track, SLICE_NONE, &slab);
    for (const char *at = unclean[_i].steps; *at != '\0'; at += strlen(at) + 1) {
        if (*at == 'C') {
            (void)imap_track_client(&track, at + 1, strlen(at + 1));
        } else {
            imap_track_server(&track, at + 1, strlen(at + 1));
        }
    }
    ck_assert(!mail_cache_offer(workers[0], session.entry, session.conn, &track, &no_seat));
    expect_end(unclean[_i].end, 1);
    imap_track_fini(&track);
    end_session(0, session.entry, session.conn);
    (void)close(session.server);
}
END_TEST

static const struct {
    const char *says;
    enum mail_cache_end end;
} barriers[] = {
    {"a2 OK SLOW done\r\n", MAIL_CACHE_END_BARRIER},
    {"+ x\r\n", MAIL_CACHE_END_BARRIER},
    {"* BYE x\r\n", MAIL_CACHE_END_BARRIER},
    {"", MAIL_CACHE_END_BARRIER}, /* it closes */
};

START_TEST(a_barrier_that_breaks)
{
    struct session_of_test session = log_in(0, "ann", "pw");
    ck_assert(offer(0, &session, false));
    if (barriers[_i].says[0] == '\0') {
        (void)close(session.server);
    } else {
        peer_say(session.server, barriers[_i].says);
    }
    settle();
    expect_end(barriers[_i].end, 1);
    ck_assert_uint_eq(parked_now(), 0);
    if (barriers[_i].says[0] != '\0') {
        (void)close(session.server);
    }
}
END_TEST

START_TEST(a_barrier_has_five_seconds)
{
    struct session_of_test session = log_in(0, "ann", "pw");
    ck_assert(offer(0, &session, true));
    settle();
    tick(5100);
    expect_end(MAIL_CACHE_END_BARRIER, 1);
    (void)close(session.server);
}
END_TEST

START_TEST(a_parked_one_is_watched)
{
    struct session_of_test session = log_in(0, "ann", "pw");
    park(0, &session);
    peer_say(session.server, "* OK still here\r\n* 3 EXISTS\r\n");
    settle();
    ck_assert_uint_eq(parked_now(), 1);
    peer_say(session.server, "* BYE maintenance\r\n");
    settle();
    ck_assert_uint_eq(parked_now(), 0);
    expect_end(MAIL_CACHE_END_SPOKE, 1);
    ck_assert_int_eq(take_as(0, "ann", "pw"), MAIL_CACHE_MISS);
    (void)close(session.server);
}
END_TEST

START_TEST(what_nobody_saw_yet_is_seen_before_it_is_used)
{
    struct session_of_test session = log_in(0, "ann", "pw");
    park(0, &session);
    peer_say(session.server, "* BYE maintenance\r\n"); /* no turn of the loop */
    ck_assert_int_eq(take_as(0, "ann", "pw"), MAIL_CACHE_MISS);
    expect_miss(MAIL_CACHE_MISS_DEAD, 1);
    (void)close(session.server);
}
END_TEST

START_TEST(after_five_seconds_it_must_answer_first)
{
    struct session_of_test session = log_in(0, "ann", "pw");
    park(0, &session);
    tick(6000);
    struct mail_cache_entry *entry = login_as(0, "ann", "pw");
    ck_assert_int_eq(take(0, entry, 0), MAIL_CACHE_PENDING);
    serve(session.server, "OK x");
    ck_assert_uint_eq(asker.called, 1);
    ck_assert(asker.hit);
    session = (struct session_of_test){entry, asker.got.conn, session.server};
    park(0, &session);
    tick(6000);
    entry = login_as(0, "ann", "pw");
    ck_assert_int_eq(take(0, entry, 0), MAIL_CACHE_PENDING);
    tick(2100); /* no answer */
    ck_assert_uint_eq(asker.called, 1);
    ck_assert(!asker.hit);
    expect_miss(MAIL_CACHE_MISS_DEAD, 1);
    mail_cache_entry_free(entry);
    (void)close(session.server);
}
END_TEST

START_TEST(who_does_not_wait_any_more_leaves_it_parked)
{
    struct session_of_test session = log_in(0, "ann", "pw");
    park(0, &session);
    tick(6000);
    struct mail_cache_entry *entry = login_as(0, "ann", "pw");
    ck_assert_int_eq(take(0, entry, 0), MAIL_CACHE_PENDING);
    mail_cache_cancel(&asker.waiter);
    mail_cache_entry_free(entry);
    serve(session.server, "OK x");
    ck_assert_uint_eq(asker.called, 0);
    ck_assert_uint_eq(parked_now(), 1);
    ck_assert_int_eq(take_as(0, "ann", "pw"), MAIL_CACHE_HIT);
    (void)close(session.server);
}
END_TEST

START_TEST(nothing_is_kept_for_ever)
{
    struct session_of_test session = log_in(0, "ann", "pw");
    park(0, &session);
    tick(119000);
    ck_assert_uint_eq(parked_now(), 1);
    tick(2000);
    ck_assert_uint_eq(parked_now(), 0);
    expect_end(MAIL_CACHE_END_IDLE, 1);
    (void)close(session.server);

    conf.max_age_ms = 60000;
    session = log_in(0, "ann", "pw");
    tick(50000); /* in use */
    park(0, &session);
    tick(11000);
    expect_end(MAIL_CACHE_END_AGE, 1);
    (void)close(session.server);

    conf.idle_ttl_ms = 1500000; /* longer than a server may wait */
    conf.max_age_ms = 86400000;
    session = log_in(0, "ann", "pw");
    park(0, &session);
    tick(601000);
    serve(session.server, "OK x");
    ck_assert_uint_eq(parked_now(), 1);
    tick(601000);
    tick(5100); /* no answer */
    expect_end(MAIL_CACHE_END_BYE, 1);
    (void)close(session.server);
}
END_TEST

/* On a worker that has not heard of the new settings yet. */
START_TEST(the_shorter_limits_of_who_asks_count)
{
    static const struct {
        uint32_t idle_ttl_ms;
        uint32_t max_age_ms;
        bool hits;
    } cases[] = {{1000, 900000, false}, {900000, 1000, false}, {3000, 3000, true}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        conf.idle_ttl_ms = 120000;
        conf.max_age_ms = 900000;
        struct session_of_test session = log_in(0, "ann", "pw");
        park(0, &session);
        tick(2000);
        conf.idle_ttl_ms = cases[i].idle_ttl_ms;
        conf.max_age_ms = cases[i].max_age_ms;
        struct mail_cache_entry *entry = login_as(0, "ann", "pw");
        enum mail_cache_answer answer = take(0, entry, 0);
        unit_expect((answer == MAIL_CACHE_HIT) == cases[i].hits, "%zu", i);
        if (answer == MAIL_CACHE_HIT) {
            upstream_conn_end(&stand.upstream, asker.got.conn);
        }
        mail_cache_entry_free(entry);
        (void)mail_cache_forget_all(cache);
        settle();
        (void)close(session.server);
    }
}
END_TEST

START_TEST(the_oldest_of_a_user_goes)
{
    struct session_of_test sessions[4];
    conf.per_user = 3;
    for (int i = 0; i < 4; i++) {
        sessions[i] = log_in(i % 2, "ann", "pw");
    }
    for (int i = 0; i < 3; i++) {
        park(i % 2, &sessions[i]);
        tick(1);
    }
    ck_assert(offer(1, &sessions[3], false));
    serve(sessions[3].server, "OK x");
    settle();
    ck_assert_uint_eq(parked_now(), 3);
    expect_end(MAIL_CACHE_END_LIMIT, 1);
    char got[64];
    size_t len = peer_read(sessions[0].server, got, sizeof(got));
    ck_assert(slice_eq(slice_of(got, len), SLICE("lbd LOGOUT\r\n")));
    for (int i = 0; i < 4; i++) {
        (void)close(sessions[i].server);
    }
}
END_TEST

START_TEST(a_pool_has_its_limit)
{
    conf.per_pool = 1;
    struct session_of_test ann = log_in(0, "ann", "pw");
    struct session_of_test bob = log_in(1, "bob", "pw");
    park(0, &ann);
    ck_assert(offer(1, &bob, false));
    serve(bob.server, "OK x");
    ck_assert_uint_eq(parked_now(), 1);
    expect_end(MAIL_CACHE_END_LIMIT, 1);
    ck_assert_int_eq(take_as(0, "ann", "pw"), MAIL_CACHE_HIT);
    (void)close(ann.server);
    (void)close(bob.server);
}
END_TEST

START_TEST(a_login_on_another_worker_gets_it)
{
    struct session_of_test session = log_in(0, "ann", "pw");
    park(0, &session);
    struct mail_cache_entry *entry = login_as(1, "ann", "pw");
    ck_assert_int_eq(take(1, entry, 0), MAIL_CACHE_PENDING);
    ck_assert_uint_eq(parked_now(), 0);
    settle();
    ck_assert_uint_eq(asker.called, 1);
    ck_assert(asker.hit);
    ck_assert_ptr_eq(asker.got.conn->conn.loop, other_base.loop);
    use_and_park_again(1, entry, session.server);
}
END_TEST

START_TEST(it_may_die_on_the_way_to_another_worker)
{
    struct session_of_test session = log_in(0, "ann", "pw");
    park(0, &session);
    struct mail_cache_entry *entry = login_as(1, "ann", "pw");
    ck_assert_int_eq(take(1, entry, 0), MAIL_CACHE_PENDING);
    if (_i == 0) { /* before its worker hears of it */
        (void)close(session.server);
        loop_stand_settle(&stand.base);
    } else { /* after */
        (void)mailbox_drain(&boxes[0]);
        (void)close(session.server);
    }
    settle();
    ck_assert_uint_eq(asker.called, 1);
    ck_assert(!asker.hit);
    expect_miss(MAIL_CACHE_MISS_DEAD, 1);
    mail_cache_entry_free(entry);
}
END_TEST

START_TEST(who_asked_from_another_worker_may_go)
{
    struct session_of_test session = log_in(0, "ann", "pw");
    park(0, &session);
    struct mail_cache_entry *entry = login_as(1, "ann", "pw");
    ck_assert_int_eq(take(1, entry, 0), MAIL_CACHE_PENDING);
    mail_cache_cancel(&asker.waiter);
    mail_cache_entry_free(entry);
    settle();
    ck_assert_uint_eq(asker.called, 0);
    ck_assert_uint_eq(parked_now(), 1); /* there */
    ck_assert_int_eq(take_as(1, "ann", "pw"), MAIL_CACHE_HIT);
    (void)close(session.server);
}
END_TEST

START_TEST(workers_may_end_with_messages_under_way)
{
    struct session_of_test session = log_in(0, "ann", "pw");
    park(0, &session);
    struct mail_cache_entry *entry = login_as(1, "ann", "pw");
    ck_assert_int_eq(take(1, entry, 0), MAIL_CACHE_PENDING);
    if (_i == 1) {
        (void)mailbox_drain(&boxes[0]); /* its parcel is under way */
    } else if (_i == 2) {
        (void)mailbox_drain(&boxes[0]);
        mail_cache_cancel(&asker.waiter);
        mail_cache_worker_end(workers[1]);
        (void)mailbox_drain(&boxes[1]); /* comes to one that has ended */
    }
    mail_cache_cancel(&asker.waiter);
    mail_cache_entry_free(entry);
    end_all();
    loop_stand_settle(&stand.base);
    (void)close(session.server);
}
END_TEST

START_TEST(a_user_is_forgotten)
{
    struct session_of_test parked = log_in(0, "ann", "pw");
    struct session_of_test away = log_in(1, "ann", "pw");
    struct session_of_test open = log_in(0, "ann", "pw");
    struct session_of_test coming = log_in(0, "ann", "pw");
    struct session_of_test bob = log_in(0, "bob", "pw");
    park(0, &parked);
    park(1, &away);
    park(0, &bob);
    ck_assert(offer(0, &coming, false));
    ck_assert_uint_eq(mail_cache_forget_user(cache, SLICE("ann")), 2);
    ck_assert_uint_eq(parked_now(), 1);
    ck_assert_int_eq(take_as(0, "ann", "pw"), MAIL_CACHE_MISS);
    serve(coming.server, "OK x");
    ck_assert(!offer(0, &open, false));
    end_session(0, open.entry, open.conn);
    ck_assert_uint_eq(parked_now(), 1);
    settle();
    expect_end(MAIL_CACHE_END_FORGOTTEN, 4);
    ck_assert_int_eq(take_as(0, "bob", "pw"), MAIL_CACHE_HIT);
    const int ends[] = {parked.server, away.server, open.server, coming.server, bob.server};
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        (void)close(ends[i]);
    }
}
END_TEST

START_TEST(a_server_is_forgotten)
{
    struct session_of_test session = log_in(0, "ann", "pw");
    park(0, &session);
    ck_assert_uint_eq(mail_cache_forget_server(cache, stand.servers[1]), 0);
    ck_assert_uint_eq(mail_cache_forget_server(cache, stand.servers[0]), 1);
    settle();
    (void)close(session.server);
    session = log_in(0, "ann", "pw");
    park(0, &session);
    ck_assert_uint_eq(mail_cache_forget_all(cache), 1);
    settle();
    (void)close(session.server);
    expect_end(MAIL_CACHE_END_FORGOTTEN, 2);
}
END_TEST

START_TEST(a_server_that_is_drained_keeps_none)
{
    struct session_of_test parked = log_in(0, "ann", "pw");
    struct session_of_test open = log_in(0, "ann", "pw");
    park(0, &parked);
    (void)server_set_admin(stand.servers[0], SERVER_DRAIN, 1);
    mail_cache_sweep(workers[0]);
    ck_assert_uint_eq(parked_now(), 0);
    ck_assert(!offer(0, &open, false));
    expect_end(MAIL_CACHE_END_SERVER, 2);
    end_session(0, open.entry, open.conn);
    (void)close(parked.server);
    (void)close(open.server);
}
END_TEST

START_TEST(reuse_is_announced_on_request)
{
    conf.announce_reuse = 1;
    struct session_of_test session = log_in(0, "ann", "pw");
    park(0, &session);
    ck_assert_int_eq(take_as(0, "ann", "pw"), MAIL_CACHE_HIT);
    ck_assert(slice_eq(asker.got.untagged, SLICE("* OK [XPROXYREUSE] Reused\r\n")));
    (void)close(session.server);
}
END_TEST

START_TEST(a_token_ends_when_it_says)
{
    /* {"exp":1700009060}: 60 s after the test's clock began */
    static const char token[] = "eyJhbGciOiJub25lIn0.eyJleHAiOjE3MDAwMDkwNjB9.x";
    const struct mail_cache_login login = {
        .conf = &conf,
        .group = SLICE("imap"),
        .pool = stand.pool,
        .user = SLICE("ann"),
        .login = SLICE("ann"),
        .secret = SLICE_INIT(""),
        .mechanism = MAIL_XOAUTH2,
    };
    struct mail_cache_login with = login;
    with.secret = slice_from(token);
    struct session_of_test session = log_in(0, "ann", "pw");
    mail_cache_entry_free(session.entry);
    session.entry = mail_cache_entry_new(workers[0], &with);
    mail_cache_logged_in(workers[0], session.entry, SLICE("UNSELECT"), 1, 1);
    park(0, &session);
    tick(59000);
    ck_assert_uint_eq(parked_now(), 1);
    tick(2000);
    ck_assert_uint_eq(parked_now(), 0);
    expect_end(MAIL_CACHE_END_AGE, 1);
    (void)close(session.server);
}
END_TEST

START_TEST(selects_are_timed)
{
    struct session_of_test session = log_in(0, "ann", "pw");
    struct imap_track track;
    struct mail_cache_stats stats;
    imap_track_init(&track, SLICE_NONE, &slab);
    (void)imap_track_client(&track, "a SELECT x\r\n", 12);
    mail_cache_note(workers[0], session.entry, &track);
    tick(20);
    imap_track_server(&track, "a OK x\r\n", 8);
    mail_cache_note(workers[0], session.entry, &track);
    mail_cache_stats(cache, &stats);
    ck_assert_uint_eq(stats.select.sum_us, 20000);
    ck_assert_uint_eq(stats.connect.sum_us, 300);
    ck_assert_uint_eq(stats.login.sum_us, 700);
    imap_track_fini(&track);
    end_session(0, session.entry, session.conn);
    (void)close(session.server);
}
END_TEST

static void add_all(TCase *tcase)
{
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, what_is_clean_is_used_again);
    tcase_add_test(tcase, a_wrong_secret_gets_nothing_and_changes_nothing);
    tcase_add_test(tcase, a_user_is_at_one_server);
    tcase_add_test(tcase, a_new_password_ends_what_the_old_one_left);
    tcase_add_loop_test(tcase, what_is_not_clean_is_not_taken_in, 0, ARRAY_LEN(unclean));
    tcase_add_loop_test(tcase, a_barrier_that_breaks, 0, ARRAY_LEN(barriers));
    tcase_add_test(tcase, a_barrier_has_five_seconds);
    tcase_add_test(tcase, a_parked_one_is_watched);
    tcase_add_test(tcase, what_nobody_saw_yet_is_seen_before_it_is_used);
    tcase_add_test(tcase, after_five_seconds_it_must_answer_first);
    tcase_add_test(tcase, who_does_not_wait_any_more_leaves_it_parked);
    tcase_add_test(tcase, nothing_is_kept_for_ever);
    tcase_add_test(tcase, the_shorter_limits_of_who_asks_count);
    tcase_add_test(tcase, the_oldest_of_a_user_goes);
    tcase_add_test(tcase, a_pool_has_its_limit);
    tcase_add_test(tcase, a_login_on_another_worker_gets_it);
    tcase_add_loop_test(tcase, it_may_die_on_the_way_to_another_worker, 0, 2);
    tcase_add_test(tcase, who_asked_from_another_worker_may_go);
    tcase_add_loop_test(tcase, workers_may_end_with_messages_under_way, 0, 3);
    tcase_add_test(tcase, a_user_is_forgotten);
    tcase_add_test(tcase, a_server_is_forgotten);
    tcase_add_test(tcase, a_server_that_is_drained_keeps_none);
    tcase_add_test(tcase, reuse_is_announced_on_request);
    tcase_add_test(tcase, a_token_ends_when_it_says);
    tcase_add_test(tcase, selects_are_timed);
}

UNIT_MAIN("mail_cache", add_all)
