/*
 * fuzz_access_format - whatever a client sends, it is one line, and stays inside its value.
 *
 * The first byte says the style, the rest is what a client may choose: method, host, path, user and
 * two headers, separated by 0xff.
 *
 * Threads: the main thread.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lbd/stats/access_format.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
    if (!ok) {
        abort();
    }
}

/* Quotes that are not escaped: two for each value that has them. */
static size_t count_quotes(const char *line, size_t len)
{
    size_t quotes = 0;
    for (size_t i = 0; i < len; i++) {
        if (line[i] == '\\') {
            i++;
        } else if (line[i] == '"') {
            quotes++;
        }
    }
    return quotes;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char line[ACCESS_FORMAT_LINE_MAX];
    static const char date[] = "2026-11-21T10:00:00.123456Z";
    struct slice parts[6] = {SLICE_NONE};
    if (size == 0) {
        return 0;
    }
    struct slice rest = slice_of((const char *)data + 1, size - 1);
    for (size_t i = 0; i < 6 && slice_split(&rest, (char)0xff, &parts[i]); i++) {
    }
    struct access_format format = {
        .style = (enum access_style)(data[0] % 3),
        .request_headers = {SLICE("referer"), SLICE("x")},
        .request_header_count = 2,
    };
    const struct access_record record = {
        .listener = SLICE("web"),
        .method = parts[0],
        .host = parts[1],
        .path = parts[2],
        .user = parts[3],
        .protocol = SLICE("HTTP/1.1"),
        .status = 200,
        .request_headers = &parts[4],
        .request_header_count = 2,
    };
    access_format_build(&format);
    size_t len = access_format_line(&format, &record, date, line);
    must(len > 0 && len <= sizeof(line) && line[len - 1] == '\n');
    for (size_t i = 0; i < len - 1; i++) {
        unsigned char c = (unsigned char)line[i];
        must(c >= 0x20 && c != 0x7f);
    }
    size_t quotes = count_quotes(line, len);
    must(quotes % 2 == 0);
    must(format.style != ACCESS_COMBINED || quotes == 6);
    must(format.style != ACCESS_JSON || (line[0] == '{' && line[len - 2] == '}'));
    return 0;
}
