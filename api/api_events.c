#include "api/api_events.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/api_limit.h"
#include "api/api_problem.h"
#include "lbd/base/mem.h"
#include "lbd/base/now.h"
#include "lbd/base/num.h"
#include "lbd/control/events.h"

#define TYPES_MAX    512U
#define LIMIT_USUAL  1000U
#define WAIT_MOST_MS 60000U
#define HEARTBEAT_MS 15000U
#define STALLED_US   2000000U      /* a whole ring behind and nothing taken for so long: cut off */
#define TEXT_MAX     (64U * 1024U) /* one event: 2.7 KB of text, each byte at most six in JSON */

/* A place in the ring, and which events are wanted. */
struct reader {
    struct events *events; /* borrowed */
    struct events_filter filter;
    char types[TYPES_MAX];
    char name[EVENTS_NAME_MAX + 1];
    uint64_t next;
    uint32_t limit;
};

/* Somebody who watches, or waits for the first event. */
struct watcher {
    struct api_stream stream;
    struct events_subscriber subscriber;
    struct reader reader;
    struct loop *loop;
    struct loop_timer timer; /* heartbeat; of one who waits: the end of that */
    struct buf text;         /* not taken yet */
    size_t taken;
    bool is_waiting; /* GET /v1/events: one answer, then it ends */
    bool is_due;     /* a heartbeat; of one who waits: its time is up */
    bool is_over;    /* after `text` comes nothing */
    bool is_cut;
    uint64_t offered_us; /* since when something waits to be taken; 0: nothing does */
};

static uint32_t watchers;
static uint32_t waiting;
static uint64_t missed;

uint32_t api_events_watchers(void)
{
    return watchers;
}

uint64_t api_events_missed(void)
{
    return missed;
}

/* -- what is asked -- */

static bool read_filter(struct api_request *request, struct reader *reader)
{
    struct slice types = api_request_query(request, "types");
    struct slice name = api_request_query(request, "name");
    struct slice bad;
    if (types.len >= sizeof(reader->types) || name.len >= sizeof(reader->name)) {
        api_problem(request, "unknown-parameter", "'types' or 'name' is too long");
        return false;
    }
    (void)snprintf(reader->types, sizeof(reader->types), "%.*s", SLICE_ARG(types));
    (void)snprintf(reader->name, sizeof(reader->name), "%.*s", SLICE_ARG(name));
    reader->filter.types = slice_from(reader->types);
    reader->filter.name = slice_from(reader->name);
    if (!events_filter_is_known(&reader->filter, &bad)) {
        api_problem(request, "unknown-parameter", "there are no events of type '%.*s'",
                    SLICE_ARG(bad));
        return false;
    }
    return true;
}

/* Sets where to begin: `usual` when nothing is said. False: the reply says why not. */
static bool read_since(struct api_request *request, struct reader *reader, uint64_t usual)
{
    struct slice since = api_request_query(request, "since");
    uint64_t number = 0;
    reader->next = usual;
    if (since.ptr == NULL && request->last_event_id.ptr != NULL) {
        if (!num_parse_u64(slice_trim(request->last_event_id), &number) || number == UINT64_MAX) {
            api_problem(request, "malformed-request",
                        "Last-Event-ID is not the number of an event");
            return false;
        }
        reader->next = number + 1;
    } else if (since.ptr != NULL) {
        if (!num_parse_u64(since, &number)) {
            api_problem(request, "unknown-parameter", "'since' is not the number of an event");
            return false;
        }
        reader->next = number != 0 ? number : events_oldest(reader->events); /* 0: all */
    }
    if (!events_holds(reader->events, reader->next)) {
        api_problem(request, "events-gone", "held are %llu to %llu",
                    (unsigned long long)events_oldest(reader->events),
                    (unsigned long long)events_next(reader->events));
        return false;
    }
    return true;
}

static bool read_wait(struct api_request *request, uint64_t *wait_ms)
{
    struct slice wait = api_request_query(request, "wait");
    *wait_ms = 0;
    if (wait.ptr != NULL && (!num_parse_duration_ms(wait, wait_ms) || *wait_ms > WAIT_MOST_MS)) {
        api_problem(request, "unknown-parameter", "'wait' is a duration of at most 60s");
        return false;
    }
    return true;
}

/* -- the ring -- */

/* The next one that is wanted, and the reader stands behind it; NULL: none yet. */
static const struct events_item *next_item(struct reader *reader)
{
    const struct events_item *item = NULL;
    while ((item = events_at(reader->events, reader->next)) != NULL) {
        reader->next++;
        if (events_matches(item, &reader->filter)) {
            return item;
        }
    }
    return NULL;
}

static bool has_item(const struct reader *reader)
{
    struct reader look = *reader;
    look.filter.types = reader->filter.types;
    return next_item(&look) != NULL;
}

static void write_list(struct reader *reader, struct buf *out)
{
    const struct events_item *item = NULL;
    struct json_write w;
    json_write_init(&w, out, JSON_PRETTY);
    json_write_object_begin(&w);
    json_write_key(&w, "events");
    json_write_array_begin(&w);
    for (uint32_t i = 0; i < reader->limit && (item = next_item(reader)) != NULL; i++) {
        events_write(item, &w);
    }
    json_write_array_end(&w);
    json_write_member_u64(&w, "next", reader->next);
    json_write_member_u64(&w, "oldest", events_oldest(reader->events));
    json_write_object_end(&w);
    (void)buf_append_char(out, '\n');
}

static void write_sse(const struct events_item *item, struct buf *out)
{
    struct json_write w;
    (void)buf_printf(out, "id: %llu\nevent: %s\ndata: ", (unsigned long long)item->sequence,
                     item->type);
    json_write_init(&w, out, JSON_COMPACT); /* on one line */
    events_write(item, &w);
    (void)buf_append_text(out, "\n\n");
}

/* -- one who watches -- */

static struct watcher *watcher_of(struct api_stream *stream)
{
    return container_of(stream, struct watcher, stream);
}

/* The ring went round: it has to begin anew. */
static void tell_gone(struct watcher *watcher)
{
    uint64_t oldest = events_oldest(watcher->reader.events);
    missed += oldest - watcher->reader.next;
    watcher->is_over = true;
    (void)buf_printf(&watcher->text, "event: events-gone\ndata: {\"oldest\":%llu}\n\n",
                     (unsigned long long)oldest);
}

/* Makes text when all of the last was taken. False: there is nothing to say. */
static bool fill(struct watcher *watcher)
{
    struct reader *reader = &watcher->reader;
    buf_clear(&watcher->text);
    watcher->taken = 0;
    if (watcher->is_waiting) {
        if (!events_holds(reader->events, reader->next)) {
            reader->next = events_oldest(reader->events); /* those in between it did not want */
        }
        if (!has_item(reader) && !watcher->is_due) {
            return false;
        }
        write_list(reader, &watcher->text);
        watcher->is_over = true;
        return true;
    }
    if (!events_holds(reader->events, reader->next)) {
        tell_gone(watcher);
        return true;
    }
    const struct events_item *item = next_item(reader);
    if (item != NULL) {
        write_sse(item, &watcher->text);
    } else if (watcher->is_due) {
        watcher->is_due = false;
        (void)buf_append_text(&watcher->text, ": still here\n\n");
    }
    return watcher->text.len != 0;
}

static ssize_t on_read(struct api_stream *stream, char *out, size_t max)
{
    struct watcher *watcher = watcher_of(stream);
    size_t len = 0;
    watcher->offered_us = 0;
    while (len < max) {
        if (watcher->taken == watcher->text.len && (watcher->is_over || !fill(watcher))) {
            break;
        }
        size_t part = watcher->text.len - watcher->taken;
        part = part < max - len ? part : max - len;
        memcpy(out + len, watcher->text.data + watcher->taken, part);
        watcher->taken += part;
        len += part;
    }
    if (len != 0) {
        return (ssize_t)len;
    }
    return watcher->is_over ? API_STREAM_END : API_STREAM_WAIT;
}

static void wake(struct watcher *watcher)
{
    if (watcher->offered_us == 0) {
        watcher->offered_us = now_us();
    }
    api_stream_wake(&watcher->stream);
}

/* One that reads finds out itself that the ring went round, and is told. */
static bool is_stalled(const struct watcher *watcher)
{
    return !watcher->is_waiting && !watcher->is_over && watcher->offered_us != 0 &&
           !events_holds(watcher->reader.events, watcher->reader.next) &&
           now_us() - watcher->offered_us > STALLED_US;
}

static void cut(struct watcher *watcher)
{
    watcher->is_cut = true;
    missed += events_oldest(watcher->reader.events) - watcher->reader.next;
    api_stream_cut(&watcher->stream);
}

static void on_notify(struct events_subscriber *subscriber)
{
    struct watcher *watcher = container_of(subscriber, struct watcher, subscriber);
    struct events *events = watcher->reader.events;
    const struct events_item *newest = events_at(events, events_next(events) - 1);
    if (watcher->is_cut) {
        return;
    }
    if (is_stalled(watcher)) {
        cut(watcher);
    } else if (events_matches(newest, &watcher->reader.filter)) {
        wake(watcher);
    }
}

static void on_timer(struct loop_timer *timer)
{
    struct watcher *watcher = container_of(timer, struct watcher, timer);
    watcher->is_due = true;
    if (watcher->is_cut) {
        return;
    }
    if (!watcher->is_waiting) {
        loop_timer_set(watcher->loop, &watcher->timer, HEARTBEAT_MS, on_timer);
    }
    if (is_stalled(watcher)) {
        cut(watcher);
    } else {
        wake(watcher);
    }
}

static void on_free(struct api_stream *stream)
{
    struct watcher *watcher = watcher_of(stream);
    *(watcher->is_waiting ? &waiting : &watchers) -= 1;
    loop_timer_stop(&watcher->timer);
    events_unsubscribe(&watcher->subscriber);
    buf_fini(&watcher->text);
    free(watcher);
}

/* The reply is a stream from here on. */
static void stream_to(struct api_request *request, const struct reader *reader, bool is_waiting,
                      uint64_t timer_ms)
{
    struct watcher *watcher = mem_zero(1, sizeof(*watcher));
    watcher->stream.read = on_read;
    watcher->stream.free = on_free;
    watcher->subscriber.notify = on_notify;
    watcher->reader = *reader;
    watcher->reader.filter.types = slice_from(watcher->reader.types);
    watcher->reader.filter.name = slice_from(watcher->reader.name);
    watcher->loop = control_loop(request->control);
    watcher->is_waiting = is_waiting;
    buf_init(&watcher->text, is_waiting ? API_REPLY_MAX : TEXT_MAX);
    *(is_waiting ? &waiting : &watchers) += 1;
    if (!is_waiting) {
        (void)buf_printf(&watcher->text, "retry: 2000\n: from %llu\n\n",
                         (unsigned long long)reader->next);
    }
    events_subscribe(reader->events, &watcher->subscriber);
    loop_timer_set(watcher->loop, &watcher->timer, timer_ms, on_timer);
    request->reply.status = 200;
    request->reply.content_type = is_waiting ? "application/json" : "text/event-stream";
    request->reply.stream = &watcher->stream;
}

static bool is_full(struct api_request *request, uint32_t count, uint32_t most)
{
    if (count < most) {
        return false;
    }
    api_request_header(request, "Retry-After", "%u", 5U);
    api_problem(request, "too-many-watchers", "%u are there", count);
    return true;
}

void api_events_list(struct api_request *request)
{
    struct reader reader = {.events = control_events(request->control)};
    uint64_t wait_ms = 0;
    if (!read_filter(request, &reader) ||
        !read_since(request, &reader, events_oldest(reader.events)) ||
        !api_limit_read(request, 1, LIMIT_USUAL, EVENTS_HELD_MAX, &reader.limit) ||
        !read_wait(request, &wait_ms)) {
        api_request_done(request);
        return;
    }
    if (wait_ms == 0 || has_item(&reader)) {
        write_list(&reader, &request->reply.body);
        request->reply.status = 200;
        request->reply.content_type = "application/json";
    } else if (!is_full(request, waiting, API_EVENTS_WAITING_MAX)) {
        stream_to(request, &reader, true, wait_ms);
    }
    api_request_done(request);
}

void api_events_watch(struct api_request *request)
{
    struct reader reader = {.events = control_events(request->control)};
    if (read_filter(request, &reader) && read_since(request, &reader, events_next(reader.events)) &&
        !is_full(request, watchers, API_EVENTS_WATCHERS_MAX)) {
        stream_to(request, &reader, false, HEARTBEAT_MS);
    }
    api_request_done(request);
}
