#include "ctl/event_feed.h"

#include <poll.h>
#include <string.h>

#include "ctl/refusal.h"
#include "ctl/sse.h"

struct follower {
    const struct event_feed *feed;
    struct sse sse;
    bool is_done;   /* on_event had enough */
    bool is_gone;   /* the stream said that events were lost */
    bool was_there; /* lbd has answered once */
    bool is_away;   /* and that it does not any more was said */
};

static bool take_event(void *user, const struct sse_event *event)
{
    struct follower *follower = user;
    struct json_error error;
    if (slice_eq(event->type, SLICE("events-gone"))) {
        follower->is_gone = true;
        return false;
    }
    struct json *json = json_parse(event->data, JSON_STRICT, &json_limits_resource, &error);
    if (!json_is(json, JSON_OBJECT)) { /* nothing that we could tell */
        json_free(json);
        return true;
    }
    bool go_on = follower->feed->on_event(follower->feed->user, json);
    json_free(json);
    follower->is_done = !go_on;
    return go_on;
}

static bool take_bytes(void *user, struct slice bytes)
{
    struct follower *follower = user;
    if (follower->is_away) {
        (void)fputs("lbd is here again\n", follower->feed->ctl->err);
        follower->is_away = false;
    }
    return sse_feed(&follower->sse, bytes);
}

/* Some events were not seen: goes on from now. */
static void begin_anew(struct follower *follower)
{
    (void)fputs("some events were lost\n", follower->feed->ctl->err);
    (void)fflush(follower->feed->ctl->err);
    follower->sse.id[0] = '\0';
    follower->sse.next_id[0] = '\0';
    follower->is_gone = false;
}

static bool ask(struct follower *follower, struct rest_reply *reply, struct err *err)
{
    const struct event_feed *feed = follower->feed;
    struct ctl *ctl = feed->ctl;
    struct buf target;
    struct endpoint endpoint;
    enum ctl_exit code = CTL_OK;
    if (!ctl_endpoint(ctl, &endpoint, &code)) {
        return err_set(err, ERR_DENIED, "nothing can be watched");
    }
    const struct rest_client client = {.endpoint = &endpoint,
                                       .timeout_ms = EVENT_FEED_SILENCE_MS,
                                       .trace = ctl->trace ? ctl->err : NULL};
    buf_init(&target, (size_t)4 * CTL_PATH_MAX);
    buf_append_text(&target, "/v1/watch");
    ctl_query(&target, "types", feed->types);
    ctl_query(&target, "name", feed->name);
    const struct rest_request request = {.method = "GET",
                                         .target = target.data,
                                         .accept = "text/event-stream",
                                         .last_event =
                                             follower->sse.id[0] != '\0' ? follower->sse.id : NULL};
    sse_reset(&follower->sse);
    reply->take = take_bytes;
    reply->user = follower;
    bool ok = rest_client_ask(&client, &request, reply, err);
    endpoint_fini(&endpoint);
    buf_fini(&target);
    return ok;
}

/* One connection. True: another one. */
static bool follow(struct follower *follower, enum ctl_exit *code)
{
    struct ctl *ctl = follower->feed->ctl;
    struct rest_reply reply;
    struct err err = {.kind = ERR_NONE};
    bool again = true;
    rest_reply_init(&reply);
    bool ok = ask(follower, &reply, &err);
    follower->was_there = follower->was_there || (reply.status == 200);
    if (follower->is_done) {
        again = false;
    } else if (follower->is_gone || (ok && reply.status == 410)) {
        begin_anew(follower);
    } else if (ok && reply.status != 200 && reply.status != 503) {
        *code = refusal_print(ctl, &reply, NULL);
        again = false;
    } else if (!follower->was_there && !ok) {
        *code =
            ctl_fail(ctl, err.kind == ERR_DENIED ? CTL_DENIED : CTL_UNREACHABLE, "%s", err.text);
        again = false;
    } else {
        if (!follower->is_away) {
            (void)fputs("lbd went away; waiting for it to come back\n", ctl->err);
            (void)fflush(ctl->err);
            follower->is_away = true;
        }
        (void)poll(NULL, 0, EVENT_FEED_PAUSE_MS);
    }
    rest_reply_fini(&reply);
    return again;
}

enum ctl_exit event_feed_run(const struct event_feed *feed)
{
    struct follower follower = {.feed = feed};
    enum ctl_exit code = CTL_OK;
    sse_init(&follower.sse, take_event, &follower);
    while (follow(&follower, &code)) {
    }
    sse_fini(&follower.sse);
    return code;
}
