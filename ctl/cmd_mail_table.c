#include "ctl/cmd_mail_table.h"

#include "conf/json/json_write.h"
#include "ctl/mail_ask.h"
#include "ctl/text_file.h"
#include "ctl/when.h"

#define SESSIONS_MOST 1000U /* that the API gives at once */
#define USERS_MOST    100000U
#define BANS_MOST     0U /* all of them */

/* GET, with the options as the query; printed as `list` says. The API lists at most `most`. */
static enum ctl_exit show(struct ctl *ctl, struct buf *path, const struct mail_list *list,
                          uint64_t most)
{
    enum ctl_exit code = CTL_OK;
    struct json *answer = ctl_get(ctl, path->data, NULL, &code);
    buf_fini(path);
    if (answer == NULL) {
        return code;
    }
    mail_ask_print(ctl, answer, list);
    ctl_hint_more(ctl, json_count(json_get(answer, slice_from(list->key))),
                  ctl_number(answer, "total"), most);
    json_free(answer);
    return CTL_OK;
}

/* DELETE; says what came of it. */
static enum ctl_exit take_away(struct ctl *ctl, struct buf *path,
                               void (*say)(struct ctl *ctl, const struct json *answer))
{
    enum ctl_exit code = CTL_OK;
    struct json *answer = mail_ask(ctl, "DELETE", path->data, NULL, SLICE_NONE, &code);
    buf_fini(path);
    if (answer != NULL) {
        if (ctl_wants_json(ctl) && !json_is(answer, JSON_NULL)) {
            ctl_print_json(ctl, answer);
        } else {
            say(ctl, answer);
        }
    }
    json_free(answer);
    return code;
}

/* -- sessions -- */

static void add_session(struct print_table *table, const struct json *session)
{
    struct slice version = ctl_text(session, "tls.version");
    mail_ask_text(table, session, "id");
    mail_ask_text(table, session, "user");
    print_table_cellf(table, PRINT_PLAIN, "%.*s%s%.*s", SLICE_ARG(ctl_text(session, "protocol")),
                      version.len != 0 ? " " : "", SLICE_ARG(version));
    mail_ask_text(table, session, "client");
    print_table_cellf(table, PRINT_PLAIN, "%.*s/%.*s", SLICE_ARG(ctl_text(session, "pool")),
                      SLICE_ARG(ctl_text(session, "server")));
    mail_ask_text(table, session, "state");
    mail_ask_span(table, session, "age_ms");
}

enum ctl_exit cmd_mail_sessions(struct ctl *ctl)
{
    static const char *const titles[] = {"ID",     "USER",  "PROTOCOL", "CLIENT",
                                         "SERVER", "STATE", ">AGE",     NULL};
    static const struct mail_list list = {"sessions", "id", titles, add_session};
    struct buf path;
    mail_ask_path(&path, "sessions", NULL, NULL);
    ctl_query(&path, "user", ctl->arg_count != 0 ? ctl->args[0] : NULL);
    ctl_query(&path, "listener", ctl->listener);
    ctl_query(&path, "server", ctl->pool);
    ctl_query(&path, "limit", ctl->limit);
    return show(ctl, &path, &list, SESSIONS_MOST);
}

static void say_ended(struct ctl *ctl, const struct json *answer)
{
    (void)answer;
    mail_ask_say(ctl, "ended: session %s (it cannot be undone)", ctl->args[0]);
    (void)fputc('\n', ctl->out);
}

enum ctl_exit cmd_mail_end(struct ctl *ctl)
{
    struct buf path;
    mail_ask_path(&path, "sessions", ctl->args[0], NULL);
    return take_away(ctl, &path, say_ended);
}

/* -- who belongs where -- */

static void add_user(struct print_table *table, const struct json *user)
{
    mail_ask_text(table, user, "user");
    mail_ask_text(table, user, "server");
    mail_ask_number(table, user, "sessions");
    print_table_cell(table, PRINT_PLAIN,
                     json_bool(json_get(user, SLICE("pinned"))) ? SLICE("moved by hand")
                                                                : SLICE_NONE);
    mail_ask_moment(table, user, "expires");
}

enum ctl_exit cmd_mail_affinity(struct ctl *ctl)
{
    static const char *const titles[] = {"USER", "SERVER", ">SESSIONS", "PIN", "UNTIL", NULL};
    static const struct mail_list list = {"users", "user", titles, add_user};
    char most[24];
    struct buf path;
    (void)snprintf(most, sizeof(most), "%u", USERS_MOST);
    mail_ask_path(&path, "affinity", ctl->args[0], NULL);
    bool is_dump = ctl->output == CTL_JSONL || ctl->output == CTL_NAME; /* of all: for an import */
    ctl_query(&path, "limit", ctl->limit == NULL && is_dump ? most : ctl->limit);
    return show(ctl, &path, &list, USERS_MOST);
}

/* Sends a file as {"text":...,"pool":...}; what came of it is told in words of the answer. */
static enum ctl_exit send_text(struct ctl *ctl, struct buf *path, const char *file,
                               const char *pool, const char *what)
{
    struct buf text;
    struct buf body;
    struct json_write w;
    text_file_init(&text);
    text_file_init(&body);
    enum ctl_exit code = text_file_read(ctl, file, &text);
    if (code == CTL_OK) {
        json_write_init(&w, &body, JSON_COMPACT);
        json_write_object_begin(&w);
        json_write_member_string(&w, "text", buf_slice(&text));
        if (pool != NULL) {
            json_write_member_text(&w, "pool", pool);
        }
        json_write_object_end(&w);
        struct json *answer = mail_ask(ctl, "POST", path->data, NULL, buf_slice(&body), &code);
        if (answer != NULL && ctl_wants_json(ctl)) {
            ctl_print_json(ctl, answer);
        } else if (answer != NULL) {
            uint64_t skipped = ctl_number(answer, "skipped");
            mail_ask_say(ctl, "%s: %llu from %s", what,
                         (unsigned long long)ctl_number(answer, "imported"), text_file_name(file));
            if (skipped != 0) {
                mail_ask_say(ctl, ", %llu left out: %.*s", (unsigned long long)skipped,
                             SLICE_ARG(ctl_text(answer, "first_skipped")));
            }
            uint64_t as_written = ctl_number(answer, "as_written");
            if (as_written != 0) {
                mail_ask_say(ctl, ", %llu as written: listeners make different names of them",
                             (unsigned long long)as_written);
            }
            (void)fputc('\n', ctl->out);
        }
        json_free(answer);
    }
    buf_fini(&body);
    buf_fini(&text);
    buf_fini(path);
    return code;
}

enum ctl_exit cmd_mail_import(struct ctl *ctl)
{
    struct buf path;
    mail_ask_path(&path, "affinity", ctl->args[0], NULL);
    return send_text(ctl, &path, ctl->args[1], NULL, "users placed");
}

enum ctl_exit cmd_mail_popmap(struct ctl *ctl)
{
    struct buf path;
    if (ctl->pool == NULL) {
        return ctl_fail(ctl, CTL_USAGE, "--pool must say whose servers the popmap names");
    }
    mail_ask_path(&path, "maps", ctl->args[0], "import");
    ctl_query(&path, "dry_run", ctl->dry_run ? "true" : NULL);
    return send_text(ctl, &path, ctl->args[1], ctl->pool, "entries");
}

/* -- bans -- */

static void add_ban(struct print_table *table, const struct json *ban)
{
    mail_ask_text(table, ban, "id");
    mail_ask_text(table, ban, "address");
    mail_ask_text(table, ban, "user");
    mail_ask_number(table, ban, "failures");
    mail_ask_moment(table, ban, "first");
    mail_ask_moment(table, ban, "until");
}

enum ctl_exit cmd_mail_bans(struct ctl *ctl)
{
    static const char *const titles[] = {"ID",    "ADDRESS", "USER", ">FAILURES",
                                         "SINCE", "UNTIL",   NULL};
    static const struct mail_list list = {"bans", "id", titles, add_ban};
    struct buf path;
    mail_ask_path(&path, "bans", NULL, NULL);
    return show(ctl, &path, &list, BANS_MOST);
}

static void say_lifted(struct ctl *ctl, const struct json *answer)
{
    (void)answer;
    mail_ask_say(ctl, "lifted: the ban %s", ctl->args[0]);
    (void)fputc('\n', ctl->out);
}

enum ctl_exit cmd_mail_unban(struct ctl *ctl)
{
    struct buf path;
    mail_ask_path(&path, "bans", ctl->args[0], NULL);
    return take_away(ctl, &path, say_lifted);
}

/* -- the cache -- */

/* "misses  120: none 100, secret 20" */
static void print_counts(struct ctl *ctl, const struct json *answer, const char *key)
{
    const struct json *counts = json_get(answer, slice_from(key));
    const struct json *count = NULL;
    const char *before = ":";
    uint64_t sum = 0;
    json_for_each(count, counts)
    {
        int64_t number = 0;
        sum += json_integer(count, &number) ? (uint64_t)number : 0;
    }
    mail_ask_say(ctl, "%-10s %llu", key, (unsigned long long)sum);
    json_for_each(count, counts)
    {
        int64_t number = 0;
        if (json_integer(count, &number) && number != 0) {
            mail_ask_say(ctl, "%s %.*s %lld", before, SLICE_ARG(json_key(count)),
                         (long long)number);
            before = ",";
        }
    }
    (void)fputc('\n', ctl->out);
}

enum ctl_exit cmd_mail_cache(struct ctl *ctl)
{
    enum ctl_exit code = CTL_OK;
    char saved[WHEN_TEXT_MAX];
    struct json *answer = ctl_get(ctl, "/v1/mail/cache", NULL, &code);
    if (answer == NULL) {
        return code;
    }
    if (ctl_wants_json(ctl)) {
        ctl_print_json(ctl, answer);
    } else {
        when_write_span(saved, ctl_number(answer, "saved_ms") / 1000);
        (void)fprintf(ctl->out, "%-10s %llu\n%-10s %llu\n", "parked",
                      (unsigned long long)ctl_number(answer, "parked"), "hits",
                      (unsigned long long)ctl_number(answer, "hits"));
        print_counts(ctl, answer, "misses");
        print_counts(ctl, answer, "destroyed");
        mail_ask_say(ctl, "%-10s %s of connecting and logging in", "saved", saved);
        (void)fputc('\n', ctl->out);
    }
    json_free(answer);
    return CTL_OK;
}

static void say_purged(struct ctl *ctl, const struct json *answer)
{
    uint64_t purged = ctl_number(answer, "purged");
    mail_ask_say(ctl, "purged: %llu %s", (unsigned long long)purged,
                 ctl_plural(purged, "connection", "connections"));
    (void)fputc('\n', ctl->out);
}

enum ctl_exit cmd_mail_purge(struct ctl *ctl)
{
    struct buf path;
    mail_ask_path(&path, "cache", NULL, NULL);
    ctl_query(&path, "user", ctl->arg_count != 0 ? ctl->args[0] : NULL);
    return take_away(ctl, &path, say_purged);
}
