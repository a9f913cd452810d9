/*
 * fuzz_tls_hello - wherever a ClientHello is split the answer is the same, and what comes out of it
 * is within its bounds.
 *
 * Threads: the main thread.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lbd/tls/tls_hello.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
    if (!ok) {
        abort();
    }
}

static void look_at(const struct tls_hello_facts *facts)
{
    must(facts->name_len <= TLS_HELLO_NAME_MAX && facts->alpn_len <= TLS_HELLO_ALPN_MAX);
    for (size_t i = 0; i < facts->name_len; i++) {
        must(facts->name[i] > ' ' && facts->name[i] < 0x7f);
        must(facts->name[i] < 'A' || facts->name[i] > 'Z');
    }
    size_t at = 0;
    while (at < facts->alpn_len) {
        must(facts->alpn[at] != 0);
        at += 1U + (unsigned char)facts->alpn[at];
    }
    must(at == facts->alpn_len);
}

/* The answer when the bytes come `step` at a time; *used: how many it took. */
static enum tls_hello_verdict read_steps(const uint8_t *data, size_t size, size_t step,
                                         struct tls_hello *hello, size_t *used)
{
    enum tls_hello_verdict verdict = TLS_HELLO_MORE;
    *hello = (struct tls_hello){0};
    *used = 0;
    while (verdict == TLS_HELLO_MORE && *used < size) {
        *used = size - *used < step ? size : *used + step;
        verdict = tls_hello_feed(hello, (const char *)data, *used);
    }
    return verdict;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const size_t steps[] = {1, 2, 7, 1460};
    struct tls_hello hello;
    struct tls_hello part;
    static struct tls_hello_facts facts;
    static struct tls_hello_facts part_facts;
    size_t used;
    enum tls_hello_verdict verdict = read_steps(data, size, size > 0 ? size : 1, &hello, &used);
    bool ok =
        verdict == TLS_HELLO_DONE && tls_hello_facts(&hello, (const char *)data, size, &facts);
    if (ok) {
        look_at(&facts);
    }
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        must(read_steps(data, size, steps[i], &part, &used) == verdict);
        if (verdict == TLS_HELLO_DONE) {
            must(part.want == hello.want);
            must(tls_hello_facts(&part, (const char *)data, used, &part_facts) == ok);
        }
        if (ok) {
            must(facts.name_len == part_facts.name_len && facts.alpn_len == part_facts.alpn_len);
            must(memcmp(facts.name, part_facts.name, facts.name_len) == 0);
            must(memcmp(facts.alpn, part_facts.alpn, facts.alpn_len) == 0);
        }
    }
    return 0;
}
