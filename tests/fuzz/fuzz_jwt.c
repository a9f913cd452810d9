/* Whatever a client sends as a token, and an operator as keys: taken or refused, never more. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "lbd/filter/jwt_keys.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool is_true)
{
    if (!is_true) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = slice_of((const char *)data, size);
    struct arena arena;
    struct jwt jwt = {0};
    arena_init(&arena, NULL, 0);
    if (jwt_read(text, &arena, &jwt)) {
        int64_t seconds;
        expect(jwt.data.len + 1 < text.len + 1);
        expect(!jwt_date(&jwt, SLICE("exp"), &seconds) || seconds >= 0);
        (void)jwt_has(&jwt, SLICE("aud"), SLICE("a"));
    }
    jwt_fini(&jwt);
    struct jwt_keys keys = {0};
    struct err err;
    if (jwt_keys_read(&keys, &arena, text, &err)) {
        expect(keys.count > 0);
        jwt.data = text;
        jwt.signature = text;
        for (int alg = 0; alg < JWK_ALG_COUNT; alg++) {
            jwt.alg = (enum jwk_alg)alg;
            expect(!jwt_keys_verify(&keys, &jwt));
        }
    }
    jwt_keys_fini(&keys);
    arena_fini(&arena);
    return 0;
}
