#include "lbd/http/h1_body.h"

#include <assert.h>

#include "lbd/base/num.h"
#include "lbd/http/h1_scan.h"

enum {
    SIZE_DIGITS_MAX = 16,
    EXTENSION_MAX = 64,
    CHUNK_LINE_MAX = SIZE_DIGITS_MAX + EXTENSION_MAX, /* without CRLF */
    TRAILERS_MAX = 8192,
    TRAILER_FIELDS_MAX = 64,
};

enum stage {
    STAGE_DATA,
    STAGE_CHUNK_LINE,
    STAGE_CHUNK_DATA,
    STAGE_CHUNK_END,
    STAGE_TRAILERS,
    STAGE_DONE
};

/* One call: what is read and what has been put together so far. */
struct feed {
    struct h1_body *body;
    char *at;  /* next byte to read */
    char *end; /* of the input */
    char *out; /* first byte of the result, NULL: nothing yet */
    char *out_end;
};

void h1_body_init(struct h1_body *body, enum framing framing, uint64_t content_length,
                  enum h1_body_mode mode, bool is_response)
{
    *body = (struct h1_body){
        .framing = (uint8_t)framing,
        .mode = (uint8_t)mode,
        .stage = STAGE_DATA,
        .is_response = is_response,
    };
    switch (framing) {
    case FRAMING_NONE:
        body->stage = STAGE_DONE;
        break;
    case FRAMING_LENGTH:
        body->left = content_length;
        body->stage = content_length == 0 ? STAGE_DONE : STAGE_DATA;
        break;
    case FRAMING_CHUNKED:
        body->stage = STAGE_CHUNK_LINE;
        break;
    case FRAMING_UNTIL_CLOSE:
    case FRAMING_TUNNEL:
        break;
    }
}

static enum h1_verdict fail(struct h1_body *body, enum close_reason reason)
{
    body->reason = (uint16_t)(body->is_response ? CLOSE_BAD_RESPONSE_FRAMING : reason);
    return H1_BAD;
}

static size_t left_in(const struct feed *feed)
{
    return (size_t)(feed->end - feed->at);
}

/* Takes `len` bytes of the input into the result; they stay where they are unless there is a gap.
 */
static void keep(struct feed *feed, size_t len)
{
    if (feed->out == NULL) {
        feed->out = feed->at;
        feed->out_end = feed->at;
    } else if (feed->out_end != feed->at) {
        memmove(feed->out_end, feed->at, len);
    }
    feed->out_end += len;
    feed->at += len;
}

/* Takes what there is of body->left. */
static void keep_data(struct feed *feed)
{
    size_t len = left_in(feed);
    if (feed->body->left < len) {
        len = (size_t)feed->body->left;
    }
    feed->body->left -= len;
    feed->body->total += len;
    keep(feed, len);
}

/* -- chunks (RFC 9112 7.1) -- */

/* Finds the CRLF that ends a line of at most `max` bytes. H1_MORE: it may still come. */
static enum h1_verdict line_end(const char *at, const char *end, size_t max, const char **cr)
{
    const char *limit = (size_t)(end - at) > max + 1 ? at + max + 1 : end;
    const char *stop = h1_scan_text(at, limit);
    if (stop == limit) {
        return (size_t)(stop - at) > max ? H1_BAD : H1_MORE;
    }
    if (*stop != '\r') {
        return H1_BAD;
    }
    if (stop + 1 == end) {
        return H1_MORE;
    }
    *cr = stop;
    return stop[1] == '\n' ? H1_DONE : H1_BAD;
}

/* `digits` are the size's; the line ends before `next`. Goes on in canonical form: without leading
 * zeros and extension. */
static void keep_chunk_line(struct feed *feed, struct slice digits, char *next)
{
    while (digits.len > 1 && digits.ptr[0] == '0') {
        digits = slice_from_at(digits, 1);
    }
    size_t len = digits.len + 2;
    char *line = next - len; /* right before the data, so that the first chunk needs no move */
    if (line != digits.ptr) {
        memmove(line, digits.ptr, digits.len);
        line[digits.len] = '\r';
        line[digits.len + 1] = '\n';
    }
    feed->at = line;
    keep(feed, len);
}

static enum h1_verdict chunk_line(struct feed *feed)
{
    struct h1_body *body = feed->body;
    const char *cr = NULL;
    enum h1_verdict verdict = line_end(feed->at, feed->end, CHUNK_LINE_MAX, &cr);
    if (verdict != H1_DONE) {
        return verdict == H1_BAD ? fail(body, CLOSE_BAD_CHUNK) : H1_MORE;
    }

    struct slice line = slice_of(feed->at, (size_t)(cr - feed->at));
    size_t semicolon = slice_find(line, ';');
    struct slice digits = slice_of(line.ptr, semicolon == SIZE_MAX ? line.len : semicolon);
    uint64_t size;
    size_t extension = line.len - digits.len;
    if (!num_parse_hex(digits, &size) || size > INT64_MAX ||
        body->extension_bytes + extension > EXTENSION_MAX) {
        return fail(body, CLOSE_BAD_CHUNK);
    }
    body->extension_bytes = (uint8_t)(body->extension_bytes + extension);

    char *next = feed->at + line.len + 2;
    if (size == 0) {
        body->stage = STAGE_TRAILERS;
        body->left = 0; /* from here on: bytes of the trailers that are valid lines */
        feed->at = next;
        return H1_DONE;
    }
    body->stage = STAGE_CHUNK_DATA;
    body->left = size;
    if (body->mode == H1_BODY_FRAMED) {
        keep_chunk_line(feed, digits, next);
    } else {
        feed->at = next;
    }
    return H1_DONE;
}

static enum h1_verdict chunk_end(struct feed *feed)
{
    if (feed->at[0] != '\r' || (left_in(feed) > 1 && feed->at[1] != '\n')) {
        return fail(feed->body, CLOSE_BAD_CHUNK);
    }
    if (left_in(feed) < 2) {
        return H1_MORE;
    }
    if (feed->body->mode == H1_BODY_FRAMED) {
        keep(feed, 2);
    } else {
        feed->at += 2;
    }
    feed->body->stage = STAGE_CHUNK_LINE;
    return H1_DONE;
}

static bool trailer_is_valid(const char *at, const char *cr)
{
    const char *colon = h1_scan_name(at, cr);
    return colon != at && colon != cr && *colon == ':';
}

/* Trailers stay in the input until they are complete, for they are given back in one piece. */
static enum h1_verdict trailers(struct feed *feed, struct h1_body_piece *piece)
{
    struct h1_body *body = feed->body;
    for (;;) {
        char *line = feed->at + body->left;
        const char *cr = NULL;
        enum h1_verdict verdict = line_end(line, feed->end, TRAILERS_MAX - (size_t)body->left, &cr);
        if (verdict != H1_DONE) {
            return verdict == H1_BAD ? fail(body, CLOSE_BAD_TRAILER) : H1_MORE;
        }
        if (cr == line) {
            piece->trailers = slice_of(feed->at, (size_t)body->left);
            feed->at = line + 2;
            body->left = 0;
            body->stage = STAGE_DONE;
            return H1_DONE;
        }
        size_t next = (size_t)(cr + 2 - feed->at);
        if (!trailer_is_valid(line, cr) || next > TRAILERS_MAX ||
            body->trailer_fields == TRAILER_FIELDS_MAX) {
            return fail(body, CLOSE_BAD_TRAILER);
        }
        body->trailer_fields++;
        body->left = next;
    }
}

static enum h1_verdict feed_chunked(struct feed *feed, struct h1_body_piece *piece)
{
    enum h1_verdict verdict = H1_DONE;
    while (verdict == H1_DONE && feed->body->stage != STAGE_DONE && feed->at < feed->end) {
        switch ((enum stage)feed->body->stage) {
        case STAGE_CHUNK_LINE:
            verdict = chunk_line(feed);
            break;
        case STAGE_CHUNK_DATA:
            keep_data(feed);
            if (feed->body->left == 0) {
                feed->body->stage = STAGE_CHUNK_END;
            }
            break;
        case STAGE_CHUNK_END:
            verdict = chunk_end(feed);
            break;
        case STAGE_TRAILERS:
            verdict = trailers(feed, piece);
            break;
        case STAGE_DATA:
        case STAGE_DONE:
            break;
        }
    }
    if (verdict == H1_BAD) {
        return H1_BAD;
    }
    return feed->body->stage == STAGE_DONE ? H1_DONE : H1_MORE;
}

enum h1_verdict h1_body_feed(struct h1_body *body, char *bytes, size_t len,
                             struct h1_body_piece *piece)
{
    enum h1_verdict verdict = H1_MORE;
    struct feed feed = {.body = body, .at = bytes, .end = len == 0 ? bytes : bytes + len};
    *piece = (struct h1_body_piece){0};
    switch ((enum framing)body->framing) {
    case FRAMING_NONE:
        verdict = H1_DONE;
        break;
    case FRAMING_LENGTH:
        if (body->left != 0 && len != 0) {
            keep_data(&feed);
        }
        if (body->left == 0) {
            body->stage = STAGE_DONE;
            verdict = H1_DONE;
        }
        break;
    case FRAMING_CHUNKED:
        verdict = feed_chunked(&feed, piece);
        break;
    case FRAMING_UNTIL_CLOSE:
    case FRAMING_TUNNEL:
        if (len != 0) {
            body->total += len;
            keep(&feed, len);
        }
        break;
    }
    if (feed.out != NULL) {
        piece->out = slice_of(feed.out, (size_t)(feed.out_end - feed.out));
    }
    piece->consumed = len == 0 ? 0 : (size_t)(feed.at - bytes);
    return verdict;
}

bool h1_body_may_end_at_close(const struct h1_body *body)
{
    return body->framing == FRAMING_UNTIL_CLOSE || body->framing == FRAMING_TUNNEL ||
           body->stage == STAGE_DONE;
}

uint64_t h1_body_opaque_left(const struct h1_body *body)
{
    return body->framing == FRAMING_LENGTH ? body->left : 0;
}

bool h1_body_skip(struct h1_body *body, uint64_t count)
{
    assert(body->framing == FRAMING_LENGTH && count <= body->left);
    body->left -= count;
    body->total += count;
    if (body->left == 0) {
        body->stage = STAGE_DONE;
    }
    return body->left == 0;
}

/* -- trailers and chunk heads for the way out -- */

size_t h1_trailers_filter(struct slice raw, char *out, size_t capacity)
{
    size_t len = 0;
    while (raw.len > 0) {
        size_t newline = slice_find(raw, '\n');
        size_t colon = slice_find(raw, ':');
        assert(newline != SIZE_MAX && colon < newline);
        struct slice name = slice_of(raw.ptr, colon);
        unsigned flags = header_id_flags(header_folded_id_of(name));
        if ((flags & (HEADER_NO_TRAILER | HEADER_OURS | HEADER_HOP | HEADER_FRAMING)) == 0) {
            if (newline + 1 > capacity - len) {
                return 0;
            }
            memcpy(out + len, raw.ptr, newline + 1);
            len += newline + 1;
        }
        raw = slice_from_at(raw, newline + 1);
    }
    return len;
}

size_t h1_chunk_head(char out[H1_CHUNK_HEAD_MAX], uint64_t size)
{
    static const char digits[] = "0123456789abcdef";
    size_t len = 1;
    while (len < SIZE_DIGITS_MAX && size >> (len * 4U) != 0) {
        len++;
    }
    for (size_t i = len; i > 0; i--) {
        out[i - 1] = digits[size & 15U];
        size >>= 4U;
    }
    out[len] = '\r';
    out[len + 1] = '\n';
    return len + 2;
}
