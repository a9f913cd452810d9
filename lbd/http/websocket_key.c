/* websocket_key - see websocket_key.h. */
#include "lbd/http/websocket_key.h"

#include <assert.h>
#include <string.h>

#include "lbd/tls/digest.h"

_Static_assert(WEBSOCKET_ACCEPT_MAX == DIGEST_BASE64_MAX(DIGEST_SHA1_BYTES), "one SHA-1");
_Static_assert(WEBSOCKET_KEY_BYTES + 1 == DIGEST_BASE64_MAX(16), "16 bytes");

void websocket_key_write(uint64_t first, uint64_t second, char out[WEBSOCKET_KEY_BYTES + 1])
{
    uint64_t numbers[2] = {first, second};
    uint8_t bytes[sizeof(numbers)];
    memcpy(bytes, numbers, sizeof(bytes));
    digest_write_base64(bytes, sizeof(bytes), out);
}

void websocket_key_accept(struct slice key, char out[WEBSOCKET_ACCEPT_MAX])
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; /* RFC 6455 1.3 */
    char text[WEBSOCKET_KEY_BYTES + sizeof(guid)];
    uint8_t sum[DIGEST_SHA1_BYTES];
    assert(key.len <= WEBSOCKET_KEY_BYTES);
    memcpy(text, key.ptr, key.len);
    memcpy(text + key.len, guid, sizeof(guid) - 1);
    digest_sha1(slice_of(text, key.len + sizeof(guid) - 1), sum);
    digest_write_base64(sum, sizeof(sum), out);
}
