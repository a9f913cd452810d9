/*
 * fuzz_token_file - a file of tokens that is accepted is written and read again as the same.
 *
 * Threads: the main thread.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "api/token_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
    if (!ok) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct token_list list;
    struct token_list again;
    struct err err = {0};
    struct buf text;
    uint64_t seconds = 0;
    struct slice input = slice_of((const char *)data, size);
    if (token_file_time_parse(input, &seconds)) {
        must(seconds > 0);
    }
    if (!token_file_parse(input, &list, &err)) {
        must(err.kind == ERR_INVALID && list.count == 0 && list.items == NULL);
        return 0;
    }
    buf_init(&text, TOKEN_FILE_BYTES_MAX);
    token_file_write(&list, &text);
    must(token_file_parse(buf_slice(&text), &again, &err));
    must(again.count == list.count);
    for (uint32_t i = 0; i < list.count; i++) {
        const struct token *a = &list.items[i];
        const struct token *b = &again.items[i];
        must(strcmp(a->id, b->id) == 0 && a->role == b->role && a->expires_s == b->expires_s);
        must(strcmp(a->note, b->note) == 0 && memcmp(a->hash, b->hash, sizeof(a->hash)) == 0);
        must(a->role > API_ROLE_NONE && strchr(a->note, '\n') == NULL);
    }
    token_file_list_fini(&list);
    token_file_list_fini(&again);
    buf_fini(&text);
    return 0;
}
