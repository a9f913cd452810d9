#include "api/api_admin_wish.h"

#include "lbd/base/num.h"

#define REASON_MAX    256U /* bytes */
#define TIME_LEAST_MS 100U
#define TIME_MOST_MS  (366U * UINT64_C(86400000))
#define WEIGHT_MAX    1000U
#define PERCENT_MAX   100000U

enum {
    SEEN_STATE = 1,
    SEEN_WEIGHT = 2,
    SEEN_DEADLINE = 4,
    SEEN_ON_DEADLINE = 8,
    SEEN_EXPIRES = 16
};

static void wrong(struct conf_errors *errors, const char *pointer, const char *must)
{
    conf_errors_add_at(errors, slice_from(pointer), "wrong-value", SLICE_NONE, "%s", must);
}

static void read_state(const struct json *item, struct control_wish *wish,
                       struct conf_errors *errors)
{
    bool is_server = wish->kind == OVERRIDE_ADMIN;
    if (!json_is(item, JSON_STRING) || !overrides_parse_state(json_string(item), &wish->state) ||
        (!is_server && wish->state == SERVER_MAINT)) {
        wrong(errors, "/state",
              is_server ? "must be \"ready\", \"drain\" or \"maint\""
                        : "must be \"ready\" or \"drain\"");
    }
}

static void read_reason(const struct json *item, struct control_wish *wish,
                        struct conf_errors *errors)
{
    wish->reason = json_string(item);
    if (!json_is(item, JSON_STRING) || wish->reason.len > REASON_MAX) {
        wrong(errors, "/reason", "must be a text of at most 256 bytes");
    }
}

static void read_time(const struct json *item, const char *pointer, uint64_t *out,
                      struct conf_errors *errors)
{
    if (!json_is(item, JSON_STRING) || !num_parse_duration_ms(json_string(item), out) ||
        *out < TIME_LEAST_MS || *out > TIME_MOST_MS) {
        wrong(errors, pointer, "must be a duration from 100ms to 366d, such as \"2m\"");
    }
}

static void read_weight(const struct json *item, struct control_wish *wish,
                        struct conf_errors *errors)
{
    struct slice text = json_string(item);
    int64_t number = 0;
    uint64_t percent = 0;
    if (json_integer(item, &number) && number >= 1 && number <= WEIGHT_MAX) {
        wish->weight = (uint32_t)number;
    } else if (json_is(item, JSON_STRING) && slice_ends(text, SLICE("%")) &&
               num_parse_u64(slice_of(text.ptr, text.len - 1), &percent) && percent >= 1 &&
               percent <= PERCENT_MAX) {
        wish->percent = (uint32_t)percent;
    } else {
        wrong(errors, "/weight",
              "must be a number from 1 to 1000, or a share of the configured weight, \"50%\"");
    }
}

static bool read_member(const struct json *item, struct control_wish *wish, unsigned *seen,
                        struct conf_errors *errors)
{
    struct slice key = json_key(item);
    bool is_weight = wish->kind == OVERRIDE_WEIGHT;
    if (slice_eq(key, SLICE("reason"))) {
        read_reason(item, wish, errors);
    } else if (slice_eq(key, SLICE("expires"))) {
        *seen |= SEEN_EXPIRES;
        read_time(item, "/expires", &wish->expires_ms, errors);
    } else if (is_weight && slice_eq(key, SLICE("weight"))) {
        *seen |= SEEN_WEIGHT;
        read_weight(item, wish, errors);
    } else if (!is_weight && slice_eq(key, SLICE("state"))) {
        *seen |= SEEN_STATE;
        read_state(item, wish, errors);
    } else if (!is_weight && slice_eq(key, SLICE("deadline"))) {
        *seen |= SEEN_DEADLINE;
        read_time(item, "/deadline", &wish->deadline_ms, errors);
    } else if (!is_weight && slice_eq(key, SLICE("on_deadline"))) {
        *seen |= SEEN_ON_DEADLINE;
        if (!overrides_parse_end(json_string(item), &wish->on_deadline)) {
            wrong(errors, "/on_deadline", "must be \"close\" or \"keep\"");
        }
    } else {
        return false;
    }
    return true;
}

/* What one member cannot know. */
static void check(const struct control_wish *wish, unsigned seen, struct conf_errors *errors)
{
    bool is_weight = wish->kind == OVERRIDE_WEIGHT;
    bool is_ready = (seen & SEEN_STATE) != 0 && wish->state == SERVER_READY;
    if ((seen & (is_weight ? SEEN_WEIGHT : SEEN_STATE)) == 0) {
        conf_errors_add_at(errors, SLICE_NONE, "missing-key", SLICE_NONE, "\"%s\" is missing",
                           is_weight ? "weight" : "state");
    }
    if (is_ready && (seen & SEEN_DEADLINE) != 0) {
        wrong(errors, "/deadline", "must be left out: what is ready has no deadline");
    }
    if ((seen & SEEN_ON_DEADLINE) != 0 && (seen & SEEN_DEADLINE) == 0) {
        wrong(errors, "/on_deadline", "must be left out without a deadline");
    }
    if (is_ready && wish->kind != OVERRIDE_ADMIN && (seen & SEEN_EXPIRES) != 0) {
        wrong(errors, "/expires", "must be left out: ready is what is configured");
    }
}

bool api_admin_wish_read(const struct json *body, struct control_wish *wish,
                         struct conf_errors *errors)
{
    const struct json *item = NULL;
    unsigned seen = 0;
    if (!json_is(body, JSON_OBJECT)) {
        conf_errors_add_at(errors, SLICE_NONE, "wrong-type", SLICE_NONE, "must be an object");
        return false;
    }
    json_for_each(item, body)
    {
        if (!read_member(item, wish, &seen, errors)) {
            struct buf pointer;
            struct slice key = json_key(item);
            buf_init(&pointer, 1024);
            (void)buf_printf(&pointer, "/%.*s", SLICE_ARG(key));
            conf_errors_add_at(
                errors, buf_slice(&pointer), "unknown-key", SLICE_NONE,
                "'%.*s' is not a known key; there are %s", SLICE_ARG(key),
                wish->kind == OVERRIDE_WEIGHT
                    ? "\"weight\", \"reason\" and \"expires\""
                    : "\"state\", \"reason\", \"deadline\", \"on_deadline\" and \"expires\"");
            buf_fini(&pointer);
        }
    }
    check(wish, seen, errors);
    return errors->error_count == 0;
}
