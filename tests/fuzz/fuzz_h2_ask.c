/*
 * fuzz_h2_ask - what a server says to one HTTP/2 request has the same meaning however it is cut.
 *
 *     byte 0: how many bytes come at a time, 0: all at once; the rest is what the server says
 *
 * Threads: the main thread.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lbd/upstream/h2_ask.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
    if (!ok) {
        abort();
    }
}

struct outcome {
    enum h2_ask_step step;
    uint16_t status;
    int grpc_status;
    size_t body_len;
    size_t out_len;
    char why[H2_ASK_WHY_MAX];
};

static void run(const char *bytes, size_t size, size_t at_a_time, struct outcome *outcome)
{
    struct h2_ask ask;
    struct buf in;
    struct buf out;
    h2_ask_init(&ask);
    buf_init(&in, 65536);
    buf_init(&out, SIZE_MAX);
    outcome->step = H2_ASK_MORE;
    for (size_t at = 0; at < size && outcome->step == H2_ASK_MORE;) {
        size_t part = at_a_time != 0 && at_a_time < size - at ? at_a_time : size - at;
        part = part > 4096 ? 4096 : part;
        must(buf_append(&in, bytes + at, part));
        at += part;
        outcome->step = h2_ask_feed(&ask, &in, &out);
    }
    outcome->status = ask.status;
    outcome->grpc_status = ask.grpc_status;
    outcome->body_len = ask.body.len;
    outcome->out_len = out.len;
    memcpy(outcome->why, ask.why, sizeof(ask.why));
    must(ask.body.len <= H2_ASK_BODY_MAX);
    must(outcome->step != H2_ASK_BAD || ask.why[0] != '\0');
    buf_fini(&in);
    buf_fini(&out);
    h2_ask_fini(&ask);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct outcome whole;
    struct outcome cut;
    if (size == 0 || size > 65536) {
        return 0;
    }
    const char *bytes = (const char *)data + 1;
    run(bytes, size - 1, 0, &whole);
    run(bytes, size - 1, data[0] % 32 + 1, &cut);
    must(whole.step == cut.step && whole.status == cut.status);
    must(whole.grpc_status == cut.grpc_status && whole.body_len == cut.body_len);
    must(whole.out_len == cut.out_len && strcmp(whole.why, cut.why) == 0);
    return 0;
}
