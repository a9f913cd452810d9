/*
 * exchange_told - what servers and clients are told so that they can see, too: the trace that a
 * request belongs to, and where its time went.
 *
 * Only where the listener or route asks for it. Threads: worker.
 */
#include <string.h>

#include "lbd/base/num.h"
#include "lbd/http/traceparent.h"
#include "lbd/proxy/exchange.h"

/* -- traces -- */

/* The one traceparent; false: there is none, or more than one. */
static bool find_parent(const struct message *request, struct slice *value)
{
    const struct headers *headers = &request->headers;
    unsigned found = 0;
    for (uint32_t i = 0; i < headers->count; i++) {
        const struct header *header = &headers->list[i];
        if (header->dropped == 0 &&
            slice_eq_nocase(header_name(headers, header), SLICE("traceparent"))) {
            *value = header_value(headers, header);
            found++;
        }
    }
    return found == 1;
}

/* The trace that the client says; false: none that is valid. */
static bool take_parent(struct exchange *x)
{
    struct traceparent parent;
    struct slice value;
    bool is_valid = find_parent(&x->head->request, &value) && traceparent_read(value, &parent);
    if (is_valid) {
        x->trace_id = parent.trace_id;
    }
    return is_valid;
}

/* Begins one. Returns its traceparent. */
static struct slice begin_trace(struct exchange *x)
{
    struct random *random = &x->proxy->upstream->random;
    const uint64_t id[2] = {random_u64(random), random_u64(random)};
    char *made = arena_alloc(&x->head->arena, TRACEPARENT_LEN);
    traceparent_write(made, id, random_u64(random),
                      x->proxy->requests % x->plan->seeing.trace_sample == 0);
    x->trace_id = slice_of(made + 3, TRACEPARENT_ID_LEN);
    return slice_of(made, TRACEPARENT_LEN);
}

void exchange_follow_trace(struct exchange *x)
{
    struct message *request = &x->head->request;
    if (take_parent(x)) {
        return;
    }
    message_drop_name(request, SLICE("traceparent"));
    message_drop_name(request, SLICE("tracestate")); /* Trace Context 3.3.1 */
    if (x->plan->seeing.starts_traces) {
        message_add(request, SLICE("traceparent"), begin_trace(x));
    }
}

void exchange_know_trace(struct exchange *x)
{
    if (x->trace_id.len == 0 && !take_parent(x) && x->plan->seeing.starts_traces) {
        (void)begin_trace(x);
    }
}

/* -- times -- */

enum { TIMES_MAX = 192 };

static char *put(char *out, struct slice text)
{
    memcpy(out, text.ptr, text.len);
    return out + text.len;
}

/* ", name;dur=1.234": milliseconds. */
static char *put_time(char *out, const char *begin, struct slice name, uint64_t us)
{
    out = out == begin ? out : put(out, SLICE(", "));
    out = put(put(out, name), SLICE(";dur="));
    out += num_write_u64(out, us / 1000);
    *out++ = '.';
    *out++ = (char)('0' + us / 100 % 10);
    *out++ = (char)('0' + us / 10 % 10);
    *out++ = (char)('0' + us % 10);
    return out;
}

void exchange_tell_times(struct exchange *x, struct message *answer)
{
    char *text = arena_alloc(&x->head->arena, TIMES_MAX);
    char *at = text;
    if (x->first_byte_us != 0) {
        at = put_time(at, text, SLICE("lbd-queue"), exchange_queue_us(x));
        at = put_time(at, text, SLICE("lbd-connect"), x->connect_us);
        at = put_time(at, text, SLICE("lbd-wait"), x->first_byte_us - x->sent_us);
    }
    at = put_time(at, text, SLICE("lbd-total"), loop_now_us(x->proxy->loop) - x->start_us);
    message_add(answer, SLICE("Server-Timing"), slice_of(text, (size_t)(at - text)));
}
