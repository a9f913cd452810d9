#include "ctl/cmd_conns.h"

#include "ctl/print_table.h"
#include "ctl/refusal.h"
#include "ctl/server_name.h"
#include "ctl/when.h"

#define LISTED_MOST 1000U /* that the API gives at once */

/* "http2/3 TLSv1.3": requests under way and what it is wrapped in. */
static void add_protocol(struct print_table *table, const struct json *connection)
{
    char streams[24] = "";
    struct slice protocol = ctl_text(connection, "protocol");
    const struct json *tls = json_get(connection, SLICE("tls"));
    struct slice version = tls != NULL ? ctl_text(tls, "version") : SLICE_NONE;
    if (json_get(connection, SLICE("streams")) != NULL) {
        (void)snprintf(streams, sizeof(streams), "/%llu",
                       (unsigned long long)ctl_number(connection, "streams"));
    }
    print_table_cellf(table, PRINT_PLAIN, "%.*s%s%s%.*s", SLICE_ARG(protocol), streams,
                      version.len != 0 ? " " : "", SLICE_ARG(version));
}

static void add_connection(struct print_table *table, const struct json *connection,
                           bool with_users)
{
    char age[WHEN_TEXT_MAX];
    struct slice pool = ctl_text(connection, "pool");
    when_write_span(age, ctl_number(connection, "age_ms") / 1000);
    print_table_cell(table, PRINT_PLAIN, ctl_text(connection, "id"));
    print_table_cell(table, PRINT_PLAIN, ctl_text(connection, "client"));
    print_table_cell(table, PRINT_PLAIN, ctl_text(connection, "listener"));
    add_protocol(table, connection);
    print_table_cell(table, PRINT_PLAIN, ctl_text(connection, "state"));
    if (pool.len != 0) {
        struct slice server = ctl_text(connection, "server");
        print_table_cellf(table, PRINT_PLAIN, "%.*s/%.*s", SLICE_ARG(pool), SLICE_ARG(server));
    } else {
        print_table_cell(table, PRINT_PLAIN, SLICE_NONE);
    }
    if (with_users) {
        print_table_cell(table, PRINT_PLAIN, ctl_text(connection, "user"));
    }
    print_table_cell(table, PRINT_PLAIN, slice_from(age));
    print_table_cellf(table, PRINT_PLAIN, "%llu",
                      (unsigned long long)ctl_number(connection, "requests"));
    print_table_cellf(table, PRINT_PLAIN, "%llu",
                      (unsigned long long)ctl_number(connection, "worker"));
}

/* Is any of them of mail? */
static bool has_users(const struct json *connections)
{
    const struct json *connection;
    json_for_each(connection, connections)
    {
        if (json_get(connection, SLICE("user")) != NULL) {
            return true;
        }
    }
    return false;
}

static void print_connections(struct ctl *ctl, const struct json *answer)
{
    struct print_table table;
    const struct json *connections = json_get(answer, SLICE("connections"));
    const struct json *connection;
    bool with_users = has_users(connections);
    print_table_init(&table);
    print_table_column(&table, "ID");
    print_table_column(&table, "CLIENT");
    print_table_column(&table, "LISTENER");
    print_table_column(&table, "PROTOCOL");
    print_table_column(&table, "STATE");
    print_table_column(&table, "SERVER");
    if (with_users) {
        print_table_column(&table, "USER");
    }
    print_table_column(&table, ">AGE");
    print_table_column(&table, ">REQUESTS");
    print_table_column(&table, ">WORKER");
    json_for_each(connection, connections)
    {
        add_connection(&table, connection, with_users);
    }
    print_table_write(&table, ctl->out, ctl->color, ctl->width);
    print_table_fini(&table);
    ctl_hint_more(ctl, json_count(connections), ctl_number(answer, "total"), LISTED_MOST);
}

static void print_lines(struct ctl *ctl, const struct json *connections)
{
    const struct json *connection;
    json_for_each(connection, connections)
    {
        if (ctl->output == CTL_NAME) {
            print_text(ctl->out, ctl_text(connection, "id"));
            (void)fputc('\n', ctl->out);
        } else {
            ctl_print_json(ctl, connection);
        }
    }
}

enum ctl_exit cmd_conns(struct ctl *ctl)
{
    struct server_name name = {.pool = ""};
    enum ctl_exit code = CTL_OK;
    struct buf target;
    if (ctl->pool != NULL && !server_name_read(ctl, ctl->pool, &name, &code)) {
        return code;
    }
    buf_init(&target, (size_t)4 * CTL_PATH_MAX);
    buf_append_text(&target, "/v1/connections");
    ctl_query(&target, "listener", ctl->listener);
    ctl_query(&target, "pool", name.pool[0] != '\0' ? name.pool : NULL);
    ctl_query(&target, "server", name.server[0] != '\0' ? name.server : NULL);
    ctl_query(&target, "limit", ctl->limit);
    struct json *answer = ctl_get(ctl, target.data, NULL, &code);
    if (answer != NULL) {
        switch (ctl->output) {
        case CTL_JSON:
            ctl_print_json(ctl, answer);
            break;
        case CTL_JSONL:
        case CTL_NAME:
            print_lines(ctl, json_get(answer, SLICE("connections")));
            break;
        case CTL_TABLE:
        case CTL_WIDE:
            print_connections(ctl, answer);
            break;
        }
    }
    json_free(answer);
    buf_fini(&target);
    return code;
}

enum ctl_exit cmd_conns_kill(struct ctl *ctl)
{
    struct rest_reply reply;
    enum ctl_exit code = CTL_OK;
    struct buf path;
    buf_init(&path, CTL_PATH_MAX);
    buf_append_text(&path, "/v1/connections");
    rest_client_append_segment(&path, slice_from(ctl->args[0]));
    rest_reply_init(&reply);
    const struct rest_request request = {.method = "DELETE", .target = path.data};
    if (ctl_ask(ctl, &request, &reply, &code)) {
        if (reply.status >= 300) {
            code = refusal_print(ctl, &reply, NULL);
        } else {
            (void)fprintf(ctl->out, "closed: connection %s (it cannot be undone)\n", ctl->args[0]);
        }
    }
    rest_reply_fini(&reply);
    buf_fini(&path);
    return code;
}
