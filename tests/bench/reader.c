#include "tests/bench/reader.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { HEAD_MAX = 4096 };

void reader_reset(struct reader *reader)
{
    free(reader->kept);
    *reader = (struct reader){0};
}

void reader_raw(struct reader *reader, uint64_t bytes)
{
    reader_reset(reader);
    reader->state = READER_LENGTH;
    reader->left = bytes;
}

static bool line_is(const char *line, const char *end, const char *name, const char **value)
{
    size_t len = strlen(name);
    if ((size_t)(end - line) <= len || strncasecmp(line, name, len) != 0 || line[len] != ':') {
        return false;
    }
    line += len + 1;
    while (line < end && *line == ' ') {
        line++;
    }
    *value = line;
    return true;
}

/* `head` is a whole head, up to and with its empty line. */
static void read_head(struct reader *reader, const char *head, size_t len)
{
    const char *end = head + len;
    const char *value = NULL;
    bool chunked = false;
    bool sized = false;

    if (len < 17 || memcmp(head, "HTTP/1.1 ", 9) != 0) {
        reader->state = READER_BAD;
        return;
    }
    for (int i = 9; i < 12; i++) {
        reader->status = (uint16_t)(reader->status * 10 + (head[i] - '0'));
    }

    const char *line = memchr(head, '\n', len);
    while (line != NULL && ++line < end) {
        const char *stop = memchr(line, '\r', (size_t)(end - line));
        if (stop == NULL || stop == line) {
            break;
        }
        if (line_is(line, stop, "content-length", &value)) {
            reader->left = strtoull(value, NULL, 10);
            sized = true;
        } else if (line_is(line, stop, "transfer-encoding", &value)) {
            chunked = strncasecmp(value, "chunked", 7) == 0;
        } else if (line_is(line, stop, "connection", &value)) {
            reader->closes = strncasecmp(value, "close", 5) == 0;
        }
        line = stop + 1;
    }

    if (reader->status == 101) {
        reader->state = READER_DONE; /* what follows is another protocol */
    } else if (chunked) {
        reader->state = READER_SIZE;
        reader->left = 0;
    } else if (sized) {
        reader->state = reader->left == 0 ? READER_DONE : READER_LENGTH;
    } else {
        reader->state = READER_BAD;
    }
}

static size_t feed_head(struct reader *reader, const char *bytes, size_t len)
{
    if (reader->kept == NULL) {
        const char *end = memmem(bytes, len, "\r\n\r\n", 4);
        if (end != NULL) {
            size_t head_len = (size_t)(end - bytes) + 4;
            read_head(reader, bytes, head_len);
            return head_len;
        }
    }

    /* The unusual case: the head comes in pieces. */
    char *joined = realloc(reader->kept, HEAD_MAX);
    if (joined == NULL) {
        abort();
    }
    reader->kept = joined;
    size_t before = reader->kept_len;
    size_t take = len > HEAD_MAX - before ? HEAD_MAX - before : len;
    memcpy(joined + before, bytes, take);
    reader->kept_len = (uint32_t)(before + take);
    const char *end = memmem(joined, before + take, "\r\n\r\n", 4);
    if (end == NULL) {
        if (before + take == HEAD_MAX) {
            reader->state = READER_BAD;
        }
        return take;
    }
    size_t head_len = (size_t)(end - joined) + 4;
    read_head(reader, joined, head_len);
    free(reader->kept);
    reader->kept = NULL;
    reader->kept_len = 0;
    return head_len - before;
}

static void feed_size(struct reader *reader, char byte)
{
    if (byte == '\n') {
        reader->state = reader->left == 0 ? READER_LAST : READER_DATA;
    } else if (byte >= '0' && byte <= '9') {
        reader->left = reader->left * 16 + (uint64_t)(byte - '0');
    } else if ((byte | 32) >= 'a' && (byte | 32) <= 'f') {
        reader->left = reader->left * 16 + (uint64_t)((byte | 32) - 'a' + 10);
    } else if (byte != '\r') {
        reader->state = READER_BAD;
    }
}

size_t reader_feed(struct reader *reader, const char *bytes, size_t len)
{
    size_t at = 0;
    while (at < len && reader->state != READER_DONE && reader->state != READER_BAD) {
        switch (reader->state) {
        case READER_HEAD:
            at += feed_head(reader, bytes + at, len - at);
            break;
        case READER_LENGTH:
        case READER_DATA: {
            uint64_t take = len - at < reader->left ? len - at : reader->left;
            reader->left -= take;
            reader->body_bytes += take;
            at += (size_t)take;
            if (reader->left == 0) {
                reader->state = reader->state == READER_LENGTH ? READER_DONE : READER_DATA_END;
            }
            break;
        }
        case READER_SIZE:
            feed_size(reader, bytes[at++]);
            break;
        case READER_DATA_END:
            if (bytes[at++] == '\n') {
                reader->state = READER_SIZE;
            }
            break;
        case READER_LAST:
            if (bytes[at++] == '\n') {
                reader->state = READER_DONE;
            }
            break;
        case READER_DONE:
        case READER_BAD:
            break;
        }
    }
    return at;
}
