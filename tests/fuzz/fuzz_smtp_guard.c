/* A client that may say anything, whole or cut at every byte: the same is let through, and the same
 * is thought of what comes next. Then the same before a server that answers when it likes (a zero
 * byte): it never hears a command that nobody may say. The first byte says what server it is. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "lbd/base/num.h"
#include "lbd/mail/smtp_guard.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* As Postfix does it. */
struct server {
    bool has_chunking;
    bool refuses; /* every second DATA */
    bool is_message;
    uint64_t chunk_left;
    size_t line_len;
    char line[64];
    unsigned datas;
    size_t replies_len;
    char replies[4096];
};

static void reply(struct server *server, const char *text)
{
    size_t len = strlen(text);
    if (server->replies_len + len <= sizeof(server->replies)) {
        memcpy(server->replies + server->replies_len, text, len);
        server->replies_len += len;
    }
}

static bool take_bdat(struct server *server, struct slice rest)
{
    uint64_t len;
    struct slice words = slice_trim(rest);
    size_t space = slice_find(words, ' ');
    if (!server->has_chunking ||
        !num_parse_u64(slice_of(words.ptr, space < words.len ? space : words.len), &len)) {
        return false;
    }
    server->chunk_left = len;
    reply(server, "250 chunk\r\n"); /* too early, and nobody sees it before the chunk's end */
    return true;
}

static void take_line(struct server *server)
{
    struct slice line = slice_of(server->line, server->line_len);
    server->line_len = 0;
    if (line.len > 0 && line.ptr[line.len - 1] == '\r') {
        line.len--;
    }
    if (server->is_message) {
        if (slice_eq(line, SLICE("."))) {
            server->is_message = false;
            reply(server, "250 queued\r\n");
        }
        return;
    }
    size_t begin = 0;
    while (begin < line.len && (unsigned char)line.ptr[begin] <= ' ') {
        begin++;
    }
    line = slice_from_at(line, begin);
    size_t end = 0;
    while (end < line.len && (unsigned char)line.ptr[end] > ' ') {
        end++;
    }
    struct slice word = slice_of(line.ptr, end);
    assert(!slice_eq_nocase(word, SLICE("XCLIENT")));
    assert(!slice_eq_nocase(word, SLICE("XFORWARD")));
    assert(!slice_eq_nocase(word, SLICE("STARTTLS")));
    if (slice_eq_nocase(word, SLICE("DATA")) && !(server->refuses && server->datas++ % 2 == 0)) {
        server->is_message = true;
        reply(server, "354 go\r\n");
    } else if (!slice_eq_nocase(word, SLICE("BDAT")) ||
               !take_bdat(server, slice_from_at(line, end))) {
        reply(server, "250-one\r\n250 two\r\n");
    }
}

static void hear(struct server *server, struct slice bytes)
{
    for (size_t i = 0; i < bytes.len; i++) {
        if (server->chunk_left > 0) {
            server->chunk_left--;
        } else if (bytes.ptr[i] == '\n') {
            take_line(server);
        } else if (server->line_len < sizeof(server->line)) {
            server->line[server->line_len++] = bytes.ptr[i];
        }
    }
}

static bool play(struct smtp_guard *guard, uint8_t kind, struct slice text, size_t step)
{
    struct slice turn;
    struct server server = {.has_chunking = (kind & 1) != 0, .refuses = (kind & 2) != 0};
    smtp_guard_init(guard, server.has_chunking, 0);
    while (slice_split(&text, '\0', &turn)) {
        for (size_t at = 0; at < turn.len; at += step) {
            size_t left = turn.len - at;
            struct slice piece = slice_of(turn.ptr + at, left < step ? left : step);
            if (!smtp_guard_client(guard, piece)) {
                return false;
            }
            hear(&server, piece);
        }
        struct slice replies = slice_of(server.replies, server.replies_len);
        for (size_t at = 0; at < replies.len && server.chunk_left == 0; at += step) {
            size_t left = replies.len - at;
            smtp_guard_server(guard, slice_of(replies.ptr + at, left < step ? left : step));
        }
        server.replies_len = server.chunk_left == 0 ? 0 : server.replies_len;
    }
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    const struct slice text = slice_of((const char *)data + 1, size - 1);
    struct smtp_guard whole;
    struct smtp_guard cut;
    bool may = play(&whole, data[0], text, SIZE_MAX / 2);
    bool may_cut = play(&cut, data[0], text, 1);
    assert(may == may_cut);
    assert(!may || memcmp(&whole, &cut, sizeof(whole)) == 0);
    return 0;
}
