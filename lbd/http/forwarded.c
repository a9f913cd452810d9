#include "lbd/http/forwarded.h"

#include <string.h>

#include "lbd/base/authority.h"
#include "lbd/http/h1_scan.h"

/* -- lists, from the right -- */

/* Is the quote at `at` one of a quoted-string's own characters (RFC 9110 5.6.4)? */
static bool is_escaped(struct slice text, size_t at)
{
    size_t before = at;
    while (before > 0 && text.ptr[before - 1] == '\\') {
        before--;
    }
    return (at - before) % 2 != 0;
}

/* Takes the last member off a list. Commas in quotes do not count. */
static bool take_last(struct slice *rest, struct slice *member)
{
    bool in_quotes = false;
    size_t at = rest->len;
    if (at == 0) {
        return false;
    }
    for (; at > 0; at--) {
        char c = rest->ptr[at - 1];
        if (c == '"' && !(in_quotes && is_escaped(*rest, at - 1))) {
            in_quotes = !in_quotes;
        } else if (c == ',' && !in_quotes) {
            break;
        }
    }
    *member = slice_trim(slice_from_at(*rest, at));
    rest->len = at > 0 ? at - 1 : 0;
    return true;
}

/* The members of all fields of a name as one list (RFC 9110 5.3), the last one first. */
struct members {
    const struct headers *headers;
    enum header_id id;
    uint32_t fields_left;
    struct slice rest;
};

static struct members members_of(const struct headers *headers, enum header_id id)
{
    return (struct members){.headers = headers, .id = id, .fields_left = headers->count};
}

static bool next_member(struct members *members, struct slice *member)
{
    for (;;) {
        while (take_last(&members->rest, member)) {
            if (member->len != 0) {
                return true;
            }
        }
        if (members->fields_left == 0) {
            return false;
        }
        const struct header *header = &members->headers->list[--members->fields_left];
        if (header->id == members->id) {
            members->rest = header_value(members->headers, header);
        }
    }
}

/* -- addresses -- */

enum told { TOLD_ADDRESS, TOLD_HIDDEN, TOLD_BROKEN };

static bool is_number(struct slice text, uint32_t *number)
{
    *number = 0;
    if (text.len == 0 || text.len > 5) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        if (!h1_is(text.ptr[i], H1_DIGIT)) {
            return false;
        }
        *number = *number * 10 + (uint32_t)(text.ptr[i] - '0');
    }
    return *number <= UINT16_MAX;
}

/* RFC 7239 6.3: "_" and letters, digits, ".", "_", "-". */
static bool is_obfuscated(struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (!h1_is(c, H1_NAME) && c != '.' && c != '_') {
            return false;
        }
    }
    return text.len > 1 && text.ptr[0] == '_';
}

/* node = nodename [":" node-port] (RFC 7239 6). X-Forwarded-For has IPv6 without brackets, too. */
static enum told parse_node(struct slice text, bool bare_v6, struct addr_small *out)
{
    struct addr address;
    struct slice ip = text;
    struct slice port = SLICE_NONE;
    bool in_brackets = text.len > 0 && text.ptr[0] == '[';
    size_t colon = slice_find(text, ':');
    if (in_brackets) {
        size_t close = slice_find(text, ']');
        if (close == SIZE_MAX || (close + 1 < text.len && text.ptr[close + 1] != ':')) {
            return TOLD_BROKEN;
        }
        ip = slice_of(text.ptr + 1, close - 1);
        colon = close + 1 < text.len ? close + 1 : SIZE_MAX;
    } else if (colon != SIZE_MAX) {
        if (bare_v6 && slice_find(slice_from_at(text, colon + 1), ':') != SIZE_MAX) {
            colon = SIZE_MAX;
        } else {
            ip.len = colon;
        }
    }
    uint32_t number = 0;
    if (colon != SIZE_MAX) {
        port = slice_from_at(text, colon + 1);
        if (!is_number(port, &number) && !is_obfuscated(port)) {
            return TOLD_BROKEN;
        }
        number = h1_is(port.ptr[0], H1_DIGIT) ? number : 0;
    }
    if (!in_brackets && (slice_eq_nocase(ip, SLICE("unknown")) || is_obfuscated(ip))) {
        return TOLD_HIDDEN;
    }
    if (!addr_from_ip(ip, (uint16_t)number, &address) ||
        (in_brackets && address.u.any.sa_family != AF_INET6)) {
        return TOLD_BROKEN;
    }
    addr_small_from(out, &address.u.any);
    return TOLD_ADDRESS;
}

/* -- what else is told -- */

static struct slice valid_proto(struct slice text)
{
    if (slice_eq_nocase(text, SLICE("https"))) {
        return SLICE("https");
    }
    return slice_eq_nocase(text, SLICE("http")) ? SLICE("http") : SLICE_NONE;
}

static struct slice valid_host(struct slice text)
{
    return authority_is_valid(text) ? text : SLICE_NONE;
}

static struct slice valid_port(struct slice text)
{
    uint32_t number;
    return is_number(text, &number) && number != 0 ? text : SLICE_NONE;
}

/* -- Forwarded -- */

/* One value of an element (RFC 7239 4): a token or a quoted-string, with *rest behind it. An empty
 * value that is not broken holds escapes, which nothing that we look for needs. */
static bool take_value(struct slice *rest, struct slice *value)
{
    if (rest->len == 0 || rest->ptr[0] != '"') {
        size_t end = slice_find(*rest, ';');
        *value = slice_trim(slice_of(rest->ptr, end == SIZE_MAX ? rest->len : end));
        *rest = slice_from_at(*rest, end == SIZE_MAX ? rest->len : end);
        return value->len != 0 && slice_find(*value, '"') == SIZE_MAX;
    }
    bool has_escapes = false;
    size_t at = 1;
    while (at < rest->len && rest->ptr[at] != '"') {
        has_escapes = has_escapes || rest->ptr[at] == '\\';
        at += rest->ptr[at] == '\\' ? 2 : 1;
    }
    if (at >= rest->len) {
        return false;
    }
    *value = has_escapes ? SLICE_NONE : slice_of(rest->ptr + 1, at - 1);
    *rest = slice_trim(slice_from_at(*rest, at + 1));
    return true;
}

struct element {
    struct slice node;
    struct slice proto;
    struct slice host;
};

static bool parse_element(struct slice text, struct element *element)
{
    struct slice rest = text;
    struct slice other;
    bool has_node = false;
    memset(element, 0, sizeof(*element));
    while (rest.len != 0) {
        size_t equals = slice_find(rest, '=');
        if (equals == SIZE_MAX) {
            return false;
        }
        struct slice name = slice_trim(slice_of(rest.ptr, equals));
        struct slice *value = slice_eq_nocase(name, SLICE("for"))     ? &element->node
                              : slice_eq_nocase(name, SLICE("proto")) ? &element->proto
                              : slice_eq_nocase(name, SLICE("host"))  ? &element->host
                                                                      : &other;
        bool is_node = value == &element->node;
        if ((is_node && has_node) || name.len == 0 || slice_find(name, ';') != SIZE_MAX) {
            return false; /* each at most once */
        }
        has_node = has_node || is_node;
        rest = slice_from_at(rest, equals + 1);
        if (!take_value(&rest, value) || (rest.len != 0 && rest.ptr[0] != ';')) {
            return false;
        }
        while (rest.len != 0 && (rest.ptr[0] == ';' || rest.ptr[0] == ' ' || rest.ptr[0] == '\t')) {
            rest = slice_from_at(rest, 1);
        }
    }
    return has_node;
}

/* -- the walk -- */

/* The member of a list beside X-Forwarded-For that was told with the client: as many from the right
 * as the client is, or the first one where proxies only pass it on. */
static struct slice beside(const struct headers *headers, enum header_id id, uint32_t from_right)
{
    struct members members = members_of(headers, id);
    struct slice found = SLICE_NONE;
    struct slice member;
    for (uint32_t i = 0; i <= from_right && next_member(&members, &member); i++) {
        found = member;
    }
    return found;
}

static enum told read_member(const struct forwarded_rules *rules, struct slice member,
                             struct addr_small *hop, struct forwarded_found *found)
{
    if (!rules->reads_forwarded) {
        return parse_node(member, true, hop);
    }
    struct element element;
    if (!parse_element(member, &element)) {
        return TOLD_BROKEN;
    }
    enum told told = parse_node(element.node, false, hop);
    if (told != TOLD_BROKEN) {
        found->proto = valid_proto(element.proto);
        found->host = valid_host(element.host);
    }
    return told;
}

void forwarded_find(const struct forwarded_rules *rules, const struct headers *headers,
                    const struct addr_small *peer, struct forwarded_found *found)
{
    struct members members =
        members_of(headers, rules->reads_forwarded ? HEADER_FORWARDED : HEADER_X_FORWARDED_FOR);
    found->hops[0] = *peer;
    found->count = 1;
    found->is_broken = false;
    found->proto = found->host = found->port = SLICE_NONE;
    if (!cidr_set_has(&rules->trusted, peer)) {
        return;
    }
    struct slice member;
    enum told told = TOLD_ADDRESS;
    while (told == TOLD_ADDRESS && found->count <= rules->depth &&
           cidr_set_has(&rules->trusted, forwarded_client(found)) &&
           next_member(&members, &member)) {
        told = read_member(rules, member, &found->hops[found->count], found);
        found->count += told == TOLD_ADDRESS ? 1 : 0;
    }
    found->is_broken = told == TOLD_BROKEN;
    if (!rules->reads_forwarded) {
        uint32_t from_right = found->count > 1 ? found->count - 2 : 0;
        found->proto = valid_proto(beside(headers, HEADER_X_FORWARDED_PROTO, from_right));
        found->host = valid_host(beside(headers, HEADER_X_FORWARDED_HOST, from_right));
        found->port = valid_port(beside(headers, HEADER_X_FORWARDED_PORT, from_right));
    }
}

/* -- telling -- */

static size_t put(char *out, struct slice text)
{
    memcpy(out, text.ptr, text.len);
    return text.len;
}

struct slice forwarded_write_list(const struct forwarded_found *found, struct arena *arena)
{
    char *out = arena_alloc(arena, found->count * ADDR_TEXT_MAX);
    size_t len = 0;
    for (uint32_t i = found->count; i > 0; i--) {
        len += addr_small_write_ip(&found->hops[i - 1], out + len);
        len += i > 1 ? put(out + len, SLICE(", ")) : 0;
    }
    return slice_of(out, len);
}

/* RFC 7239 6: IPv6 needs brackets, and brackets need quotes. */
static size_t put_node(char *out, const struct addr_small *hop)
{
    char ip[ADDR_TEXT_MAX];
    size_t ip_len = addr_small_write_ip(hop, ip);
    bool is_v6 = hop->family == AF_INET6;
    if (hop->family != AF_INET && !is_v6) {
        return put(out, SLICE("for=unknown"));
    }
    size_t len = put(out, is_v6 ? SLICE("for=\"[") : SLICE("for="));
    len += put(out + len, slice_of(ip, ip_len));
    return len + put(out + len, is_v6 ? SLICE("]\"") : SLICE(""));
}

struct slice forwarded_write(const struct forwarded_found *found, struct slice proto,
                             struct slice host, struct arena *arena)
{
    char *out = arena_alloc(arena, found->count * (ADDR_TEXT_MAX + 16) + proto.len + host.len + 32);
    size_t len = 0;
    for (uint32_t i = found->count; i > 0; i--) {
        len += put_node(out + len, &found->hops[i - 1]);
        if (i == found->count) { /* the client's own words */
            len += put(out + len, SLICE(";proto="));
            len += put(out + len, proto);
        }
        if (i == found->count && host.len != 0) {
            len += put(out + len, SLICE(";host=\""));
            len += put(out + len, host);
            len += put(out + len, SLICE("\""));
        }
        len += i > 1 ? put(out + len, SLICE(", ")) : 0;
    }
    return slice_of(out, len);
}
