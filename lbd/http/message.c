#include "lbd/http/message.h"

#include <assert.h>

/* Where head bytes moved to. */
struct move {
    const char *from;
    size_t len;
    const char *to;
};

static struct slice moved(const struct move *move, struct slice s)
{
    uintptr_t at = (uintptr_t)s.ptr;
    uintptr_t start = (uintptr_t)move->from;
    if (at < start || at > start + move->len) {
        return s; /* a literal, or made in an arena */
    }
    return slice_of(move->to + (at - start), s.len);
}

void message_copy(struct message *to, const struct message *from, struct arena *arena)
{
    const struct headers *list = &from->headers;
    struct slice head = arena_copy(arena, slice_of(list->base, from->head_len));
    struct header *copy = (struct header *)arena_alloc(arena, list->count * sizeof(struct header));
    struct move move = {list->base, from->head_len, head.ptr};
    if (list->count > 0) {
        memcpy(copy, list->list, list->count * sizeof(*copy));
    }

    /* all but the unused extras, which are most of it */
    memcpy(to, from, offsetof(struct message, extras));
    to->headers.base = head.ptr;
    to->headers.list = copy;
    to->headers.capacity = list->count;
    to->method_text = moved(&move, from->method_text);
    to->authority = moved(&move, from->authority);
    to->scheme = moved(&move, from->scheme);
    to->protocol = moved(&move, from->protocol);
    to->path = moved(&move, from->path);
    to->query = moved(&move, from->query);
    to->reason_phrase = moved(&move, from->reason_phrase);
    for (uint32_t i = 0; i < from->extra_count; i++) {
        to->extras[i].name = moved(&move, from->extras[i].name);
        to->extras[i].value = moved(&move, from->extras[i].value);
    }
}

void message_drop(struct message *message, enum header_id id)
{
    for (uint32_t i = 0; i < message->headers.count; i++) {
        struct header *header = &message->headers.list[i];
        if (header->id == id) {
            header->dropped = 1;
        }
    }
}

void message_drop_name(struct message *message, struct slice name)
{
    for (uint32_t i = 0; i < message->headers.count; i++) {
        struct header *header = &message->headers.list[i];
        if (header->name_len == name.len &&
            slice_eq_nocase(header_name(&message->headers, header), name)) {
            header->dropped = 1;
        }
    }
}

void message_add(struct message *message, struct slice name, struct slice value)
{
    assert(message->extra_count < MESSAGE_EXTRAS_MAX);
    assert(header_name_is_valid(name) && header_value_is_valid(value));
    message->extras[message->extra_count++] = (struct header_extra){name, value};
}

struct slice message_method(const struct message *message)
{
    return message->protocol.len != 0 ? SLICE("GET") : message->method_text;
}

struct slice message_host(const struct message *message)
{
    struct slice authority = message->authority;
    size_t end = authority.len;
    while (end > 0 && authority.ptr[end - 1] >= '0' && authority.ptr[end - 1] <= '9') {
        end--;
    }
    /* a port is digits after ':'; inside brackets a ']' would have come first */
    return end > 0 && authority.ptr[end - 1] == ':' ? slice_of(authority.ptr, end - 1) : authority;
}
