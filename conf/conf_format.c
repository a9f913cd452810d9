#include "conf/conf_format.h"

#include "conf/conf.h"
#include "conf/conf_address.h"
#include "lbd/base/addr.h"
#include "lbd/base/cidr.h"
#include "lbd/base/compiler.h"
#include "lbd/base/escape.h"
#include "lbd/base/num.h"
#include "lbd/base/path_template.h"
#include "lbd/base/url.h"

enum {
    NAME_LEN_MAX = 63,
    HOST_LEN_MAX = 253, /* RFC 1035 2.3.4, without the root's dot */
    LABEL_LEN_MAX = 63,
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

static bool is_alpha(char c)
{
    return is_lower(c) || (c >= 'A' && c <= 'Z');
}

static bool is_in(char c, const char *set)
{
    return c != '\0' && strchr(set, c) != NULL;
}

static bool is_control(char c)
{
    return (unsigned char)c < 0x20 || c == 0x7f;
}

bool conf_format_is_name(struct slice text)
{
    if (text.len == 0 || text.len > NAME_LEN_MAX) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        bool at_end = i == 0 || i + 1 == text.len;
        if (!is_lower(c) && !is_digit(c) && (at_end || !is_in(c, "._-"))) {
            return false;
        }
    }
    return true;
}

static bool is_label(struct slice label)
{
    if (label.len == 0 || label.len > LABEL_LEN_MAX || label.ptr[0] == '-' ||
        label.ptr[label.len - 1] == '-') {
        return false;
    }
    for (size_t i = 0; i < label.len; i++) {
        if (!is_alpha(label.ptr[i]) && !is_digit(label.ptr[i]) && !is_in(label.ptr[i], "-_")) {
            return false;
        }
    }
    return true;
}

/* A host name whose last label is not a number: "10.0.0.300" is a mistyped address and no name. */
static bool is_host_name(struct slice host)
{
    struct slice rest = host;
    struct slice label = SLICE_NONE;
    if (host.len == 0 || host.len > HOST_LEN_MAX) {
        return false;
    }
    while (slice_split(&rest, '.', &label)) {
        if (!is_label(label)) {
            return false;
        }
    }
    uint64_t number = 0;
    return !num_parse_u64(label, &number);
}

static bool is_ip(struct slice host)
{
    struct addr addr;
    return addr_from_ip(host, 0, &addr);
}

static bool is_host(struct slice host)
{
    return is_ip(host) || is_host_name(host);
}

static const char *text_problem(struct slice text, const char *allowed)
{
    for (size_t i = 0; i < text.len; i++) {
        if (is_control(text.ptr[i]) && !is_in(text.ptr[i], allowed)) {
            return "must not hold control characters";
        }
    }
    return NULL;
}

/* A socket of the file system or, with '@', of the abstract namespace. */
static const char *unix_problem(struct slice text, bool may_be_relative)
{
    struct addr addr;
    struct slice path = slice_from_at(text, 5);
    if (text_problem(path, "") != NULL || path.len == 0) {
        return "must be \"unix:\" and a path";
    }
    if (path.len >= sizeof addr.u.local.sun_path) {
        return "must be a path of at most 107 bytes";
    }
    if (!may_be_relative && !addr_parse(text, &addr)) {
        return "must be \"unix:\" and a path that begins with '/'";
    }
    return NULL;
}

static const char *ip_port_problem(struct slice text, bool allow_port_0, const char *problem)
{
    struct addr addr;
    bool ok =
        !addr_is_unix(text) && addr_parse(text, &addr) && (allow_port_0 || addr_port(&addr) != 0);
    return ok ? NULL : problem;
}

static const char *bind_problem(struct slice text)
{
    if (addr_is_unix(text)) {
        return unix_problem(text, false);
    }
    return ip_port_problem(
        text, true,
        "must be an IP address and a port such as \"0.0.0.0:80\" or \"[::]:80\", "
        "or \"unix:/path\"");
}

static const char *observe_problem(struct slice text)
{
    if (addr_is_unix(text)) {
        return unix_problem(text, true);
    }
    return ip_port_problem(
        text, true,
        "must be an IP address and a port such as \"127.0.0.1:9901\", or \"unix:/path\"");
}

/* RFC 2782: labels that may begin with '_'. */
static bool is_service_name(struct slice name)
{
    struct slice part;
    if (name.len > 253) {
        return false;
    }
    while (slice_split(&name, '.', &part)) {
        struct slice label = part.len > 1 && part.ptr[0] == '_' ? slice_from_at(part, 1) : part;
        if (!is_host_name(label)) {
            return false;
        }
    }
    return true;
}

static const char *server_address_problem(struct slice text)
{
    struct slice host = SLICE_NONE;
    uint16_t port = 0;
    if (addr_is_unix(text)) {
        return unix_problem(text, false);
    }
    switch (conf_address_of(text, &host, &port)) {
    case CONF_ADDRESS_SRV:
        return is_service_name(host) ? NULL
                                     : "must be a name such as \"srv:_http._tcp.app.internal\"";
    case CONF_ADDRESS_DNS:
        return is_host_name(host) ? NULL : "must have a host name behind \"dns:\"";
    case CONF_ADDRESS_LITERAL:
    case CONF_ADDRESS_NAME:
    case CONF_ADDRESS_BAD:
        break;
    }
    if (!addr_split(text, false, &host, &port)) {
        return "must be a host and a port such as \"10.0.0.1:8080\" or \"[::1]:8080\", or "
               "\"unix:/path\"";
    }
    if (!is_host(host)) {
        return "must begin with an IP address or a host name";
    }
    return NULL;
}

static const char *host_pattern_problem(struct slice text)
{
    struct slice name = slice_starts(text, SLICE("*.")) ? slice_from_at(text, 2) : text;
    bool is_wild = name.len != text.len;
    if (text.len > 0 && text.ptr[0] == '[' && text.ptr[text.len - 1] == ']') {
        return is_ip(slice_of(text.ptr + 1, text.len - 2)) ? NULL : "must hold an IPv6 address";
    }
    if (is_wild ? is_host_name(name) : is_host(name)) {
        return NULL;
    }
    return "must be a host name without port, or \"*.\" and a host name";
}

static const char *host_problem(struct slice text)
{
    struct slice host = SLICE_NONE;
    uint16_t port = 0;
    if (addr_split(text, false, &host, &port)) {
        return is_host(host) ? NULL : "must begin with an IP address or a host name";
    }
    return host_pattern_problem(text) == NULL && !slice_starts(text, SLICE("*"))
               ? NULL
               : "must be a host, with or without a port";
}

static int hex_value(char c)
{
    if (is_digit(c)) {
        return c - '0';
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* RFC 3986 2.3 */
static bool is_unreserved(char c)
{
    return is_alpha(c) || is_digit(c) || is_in(c, "-._~");
}

/* Requests are normalised before routes see them, so what is configured must be in that form too:
 * capital hexadecimal digits, nothing encoded that need not be, no dot segments (RFC 3986 6.2.2).
 */
static const char *escape_problem(struct slice text, size_t at)
{
    int high = at + 2 < text.len ? hex_value(text.ptr[at + 1]) : -1;
    int low = high >= 0 ? hex_value(text.ptr[at + 2]) : -1;
    if (high < 0 || low < 0) {
        return "must have two digits or capital letters A-F behind '%'";
    }
    char c = (char)(high * 16 + low);
    if (is_unreserved(c)) {
        return "must not encode letters, digits or -._~ with '%'";
    }
    if (c == '\0' || c == '/' || c == '\\') {
        return "must not hold %00, %2F or %5C: such requests are refused";
    }
    return NULL;
}

static bool has_dot_segment(struct slice path)
{
    struct slice rest = path;
    struct slice segment = SLICE_NONE;
    while (slice_split(&rest, '/', &segment)) {
        if (slice_eq(segment, SLICE(".")) || slice_eq(segment, SLICE(".."))) {
            return true;
        }
    }
    return false;
}

/* What a path is made of, with or without its beginning; *path_len: without the query. */
static const char *path_chars_problem(struct slice text, bool may_have_query, size_t *path_len)
{
    *path_len = text.len;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '%') {
            const char *problem = escape_problem(text, i);
            if (problem != NULL) {
                return problem;
            }
        } else if (c == '?' && may_have_query) {
            *path_len = *path_len == text.len ? i : *path_len;
        } else if (c == '?' || c == '#') {
            return may_have_query ? "must not hold '#'" : "must not hold '?' or '#'";
        } else if (!is_unreserved(c) && !is_in(c, "/!$&'()*+,;=:@")) {
            return "must hold only characters of a path; others are written as %XX";
        }
    }
    return NULL;
}

static const char *path_problem(struct slice text, bool may_have_query)
{
    if (text.len == 0 || text.ptr[0] != '/') {
        return "must begin with '/'";
    }
    size_t path_len = 0;
    const char *problem = path_chars_problem(text, may_have_query, &path_len);
    if (problem == NULL && has_dot_segment(slice_of(text.ptr, path_len))) {
        return "must not hold the segments \".\" or \"..\"";
    }
    return problem;
}

/* A path into which values are put; what comes out is normalised when it has come out. */
static const char *path_fill_problem(struct slice text)
{
    struct path_template_piece piece;
    const char *problem = NULL;
    size_t path_len = 0;
    if (text.len == 0 || text.ptr[0] != '/') {
        return "must begin with '/'";
    }
    while (problem == NULL && path_template_next(&text, &piece, &problem)) {
        problem = piece.is_name ? NULL : path_chars_problem(piece.text, false, &path_len);
    }
    return problem;
}

static const char *method_problem(struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < 'A' || text.ptr[i] > 'Z') {
            return "must be a method in capital letters such as \"GET\"";
        }
    }
    if (slice_eq(text, SLICE("CONNECT")) || slice_eq(text, SLICE("TRACE"))) {
        return "must be a method that a check can use";
    }
    return text.len == 0 ? "must not be empty" : NULL;
}

static const char *any_method_problem(struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        if ((text.ptr[i] < 'A' || text.ptr[i] > 'Z') && text.ptr[i] != '-') {
            return "must be a method in capital letters such as \"GET\"";
        }
    }
    return text.len == 0 || text.len > 32 ? "must be 1 to 32 bytes long" : NULL;
}

/* What stands between its variables is normalised, as the paths of requests are. */
static const char *path_template_problem(struct slice text)
{
    struct path_template template;
    struct path_template_piece piece;
    struct slice rest = text;
    const char *problem = NULL;
    if (!path_template_read(text, &template, &problem)) {
        return problem;
    }
    while (problem == NULL && path_template_next(&rest, &piece, &problem)) {
        problem = piece.is_name ? NULL : path_problem(piece.text, false);
    }
    return problem;
}

/* RFC 9110 5.5, without obs-text */
static const char *header_value_problem(struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (is_control(text.ptr[i]) || (unsigned char)text.ptr[i] >= 0x80) {
            return "must hold only printable ASCII characters";
        }
    }
    if (text.len > 0 && (text.ptr[0] == ' ' || text.ptr[text.len - 1] == ' ')) {
        return "must not begin or end with a space";
    }
    return NULL;
}

static const char *location_problem(struct slice text)
{
    struct slice rest = text;
    bool has_start = slice_starts(text, SLICE("/")) || slice_starts(text, SLICE("http://")) ||
                     slice_starts(text, SLICE("https://")) || slice_starts(text, SLICE("{path}"));
    if (!has_start) {
        return "must begin with '/', \"http://\" or \"https://\"";
    }
    while (rest.len > 0) {
        char c = rest.ptr[0];
        size_t len = 1;
        if (slice_starts(rest, SLICE("{path}"))) {
            len = 6;
        } else if (c <= ' ' || c == 0x7f || is_in(c, "\"<>\\^`{|}")) {
            return "must hold only characters of a URI, and {path}";
        }
        rest = slice_from_at(rest, len);
    }
    return NULL;
}

/* "10.0.0.0/8", "2001:db8::/32", a single address, or "unix". */
static const char *cidr_problem(struct slice text)
{
    struct cidr cidr;
    if (slice_eq(text, SLICE("unix")) || cidr_parse(text, &cidr)) {
        return NULL;
    }
    return "must be an IP address, a range such as \"10.0.0.0/8\" (with zeros behind the prefix), "
           "or \"unix\"";
}

static const char *alpn_problem(struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] <= 0x20 || text.ptr[i] > 0x7e) {
            return "must be the name of a protocol such as \"h2\"";
        }
    }
    return NULL;
}

/* 32 bytes are 43 digits and one '='. */
static const char *pin_problem(struct slice text)
{
    bool ok = text.len == 44 && text.ptr[43] == '=';
    for (size_t i = 0; ok && i < 43; i++) {
        ok = is_alpha(text.ptr[i]) || is_digit(text.ptr[i]) || is_in(text.ptr[i], "+/");
    }
    return ok ? NULL : "must be the base64 of a SHA-256 (44 characters) over a public key";
}

static const char *stored_problem(struct slice text)
{
    bool ok = slice_starts(text, SLICE("sha256:")) && text.len == 7 + 64;
    for (size_t i = 7; ok && i < text.len; i++) {
        ok = is_digit(text.ptr[i]) || (text.ptr[i] >= 'a' && text.ptr[i] <= 'f');
    }
    return ok ? NULL : "must be \"sha256:\" and 64 hexadecimal digits";
}

static const char *certificate_name_problem(struct slice text)
{
    static const struct slice kinds[] = {SLICE_INIT("DNS:"), SLICE_INIT("URI:"),
                                         SLICE_INIT("email:"), SLICE_INIT("CN:")};
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (slice_starts(text, kinds[i]) && text.len > kinds[i].len) {
            return text.len > 253 ? "must be at most 253 bytes long" : text_problem(text, "");
        }
    }
    return "must be \"DNS:\", \"URI:\", \"email:\" or \"CN:\" and a name, in which * stands for any "
           "characters";
}

const char *conf_format_header_name_problem(struct slice name)
{
    static const struct slice ours[] = {
        SLICE_INIT("host"),       SLICE_INIT("content-length"), SLICE_INIT("transfer-encoding"),
        SLICE_INIT("connection"), SLICE_INIT("keep-alive"),     SLICE_INIT("te"),
        SLICE_INIT("trailer"),    SLICE_INIT("upgrade"),
    };
    if (name.len == 0 || name.len > 256) {
        return "must be a header name";
    }
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        if (!is_alpha(c) && !is_digit(c) && !is_in(c, "!#$%&'*+-.^_`|~")) { /* RFC 9110 5.6.2 */
            return "must be a header name: letters, digits and !#$%&'*+-.^_`|~";
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(ours); i++) {
        if (slice_eq_nocase(name, ours[i])) {
            return "must not be a header that lbd sets itself";
        }
    }
    return NULL;
}

static const char *mail_key_problem(struct slice text)
{
    if (text.len == 0 || text.len > CONF_MAIL_KEY_MAX || text_problem(text, "") != NULL) {
        return "must be 1 to 320 bytes without control characters";
    }
    return NULL;
}

static const char *mail_domain_problem(struct slice text)
{
    struct slice rest = text;
    struct slice label;
    bool ok = text.len != 0 && text.len <= 253;
    while (ok && slice_split(&rest, '.', &label)) {
        ok = is_label(label);
    }
    return ok ? NULL : "must be a domain such as \"example.com\"";
}

static const char *access_header_problem(struct slice text)
{
    bool ok = text.len > 0 && text.len <= 64;
    for (size_t i = 0; i < text.len && ok; i++) {
        char c = text.ptr[i];
        ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
    }
    return ok ? NULL : "must be the name of a header: letters, digits and '-', at most 64 bytes";
}

static const char *access_field_problem(struct slice text)
{
    static const struct slice names[] = {
#define FIELD(id, name, kind, member, most) SLICE_INIT(name),
#include "conf/conf_access_fields.def"
#undef FIELD
    };
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (slice_eq(text, names[i])) {
            return NULL;
        }
    }
    return "must be a field of the access log, such as \"time\", \"client\", \"path\", \"status\" or "
           "\"duration_us\"";
}

static const char *retry_problem(struct slice text)
{
    static const char *const words[] = {"connect", "reset", "timeout", "5xx"};
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (slice_eq(text, slice_from(words[i]))) {
            return NULL;
        }
    }
    uint64_t status;
    if (text.len == 3 && num_parse_u64(text, &status) && status >= 400 && status <= 599) {
        return NULL;
    }
    return "must be connect, reset, timeout, 5xx or a status from 400 to 599";
}

static const char *mechanism_problem(struct slice text)
{
    static const char *const words[] = {"plain", "login", "xoauth2", "oauthbearer", "external"};
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (slice_eq(text, slice_from(words[i]))) {
            return NULL;
        }
    }
    return "must be plain, login, xoauth2, oauthbearer or external";
}

static const char *proxy_tlv_problem(struct slice text)
{
    static const char *const words[] = {"alpn", "authority", "unique_id", "ssl", "crc32c"};
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (slice_eq(text, slice_from(words[i]))) {
            return NULL;
        }
    }
    return "must be alpn, authority, unique_id, ssl or crc32c";
}

static const char *encoding_problem(struct slice text)
{
    return conf_encoding_of(text) != CONF_ENCODING_COUNT ? NULL : "must be zstd, br or gzip";
}

/* What http_call would not ask is not accepted. */
static const char *url_problem(struct slice text)
{
    static const char *const words[] = {
        [URL_OK] = NULL,
        [URL_TOO_LONG] = "must be at most 2048 bytes long",
        [URL_BAD_SCHEME] = "must be a URL such as \"https://auth.example.com/mail\"",
        [URL_BAD_AUTHORITY] =
            "must have a host behind its \"//\", and at most a port from 1 to 65535 "
            "with it",
        [URL_BAD_TARGET] = "must have no fragment ('#'), and only visible ASCII in path and query",
    };
    struct url url;
    return words[url_parse(text, &url)];
}

const char *conf_format_problem(enum conf_format format, struct slice text)
{
    switch (format) {
    case CONF_FORMAT_TEXT:
        return text_problem(text, "\t\n");
    case CONF_FORMAT_NAME:
        return conf_format_is_name(text) ? NULL
                                         : "must be a name: a-z, 0-9 and inside also . _ -, "
                                           "at most 63 characters";
    case CONF_FORMAT_BIND:
        return bind_problem(text);
    case CONF_FORMAT_SERVER_ADDRESS:
        return server_address_problem(text);
    case CONF_FORMAT_HOST_PATTERN:
        return host_pattern_problem(text);
    case CONF_FORMAT_HOST:
        return host_problem(text);
    case CONF_FORMAT_PATH:
        return path_problem(text, false);
    case CONF_FORMAT_CHECK_TARGET:
        return path_problem(text, true);
    case CONF_FORMAT_METHOD:
        return method_problem(text);
    case CONF_FORMAT_ANY_METHOD:
        return any_method_problem(text);
    case CONF_FORMAT_PATH_TEMPLATE:
        return path_template_problem(text);
    case CONF_FORMAT_PATH_FILL:
        return path_fill_problem(text);
    case CONF_FORMAT_HEADER_NAME:
        return conf_format_header_name_problem(text);
    case CONF_FORMAT_MATCH_NAME:
        return text.len > 256 ? "must be at most 256 bytes long" : text_problem(text, "");
    case CONF_FORMAT_HEADER_VALUE:
        return header_value_problem(text);
    case CONF_FORMAT_REALM:
        return memchr(text.ptr, '"', text.len) != NULL || memchr(text.ptr, '\\', text.len) != NULL
                   ? "may have no quotes and no backslash"
                   : text_problem(text, "");
    case CONF_FORMAT_LOCATION:
        return location_problem(text);
    case CONF_FORMAT_BODY:
        return NULL;
    case CONF_FORMAT_ESCAPED:
        return escape_is_valid(text) ? NULL
                                     : "must have \\r, \\n, \\t, \\\\ or \\x and two hexadecimal "
                                       "digits behind a backslash";
    case CONF_FORMAT_IP:
        return is_ip(text) ? NULL : "must be an IP address such as \"10.0.0.5\" or \"2001:db8::5\"";
    case CONF_FORMAT_IP_PORT:
        return ip_port_problem(text, false,
                               "must be an IP address and a port such as \"127.0.0.53:53\"");
    case CONF_FORMAT_IP_PORT_OR_UNIX:
        return observe_problem(text);
    case CONF_FORMAT_CERTIFICATE_NAME:
        return certificate_name_problem(text);
    case CONF_FORMAT_CIDR_OR_UNIX:
        return cidr_problem(text);
    case CONF_FORMAT_ALPN:
        return alpn_problem(text);
    case CONF_FORMAT_PIN:
        return pin_problem(text);
    case CONF_FORMAT_STORED:
        return stored_problem(text);
    case CONF_FORMAT_MAIL_KEY:
        return mail_key_problem(text);
    case CONF_FORMAT_MAIL_DOMAIN:
        return mail_domain_problem(text);
    case CONF_FORMAT_MECHANISM:
        return mechanism_problem(text);
    case CONF_FORMAT_ACCESS_HEADER:
        return access_header_problem(text);
    case CONF_FORMAT_ACCESS_FIELD:
        return access_field_problem(text);
    case CONF_FORMAT_ENCODING:
        return encoding_problem(text);
    case CONF_FORMAT_RETRY:
        return retry_problem(text);
    case CONF_FORMAT_PROXY_TLV:
        return proxy_tlv_problem(text);
    case CONF_FORMAT_URL:
        return url_problem(text);
    case CONF_FORMAT_FILE:
        return text_problem(text, "");
    }
    return NULL;
}
