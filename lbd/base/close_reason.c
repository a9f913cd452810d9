#include "lbd/base/close_reason.h"

#include "lbd/base/compiler.h"

struct reason {
    struct slice word;
    const char *sentence;
    uint16_t status;
};

static const struct reason reasons[] = {
#define REASON(name, word, status, sentence) [CLOSE_##name] = {SLICE_INIT(word), sentence, status},
#include "lbd/base/close_reasons.def"
#undef REASON
};

static_assert(ARRAY_LEN(reasons) == CLOSE_REASON_COUNT, "one row per reason");
static_assert(CLOSE_REASON_COUNT <= UINT8_MAX, "they are kept in bytes");

static const struct reason *find(enum close_reason reason)
{
    assert((unsigned)reason < CLOSE_REASON_COUNT);
    return &reasons[reason];
}

struct slice close_reason_word(enum close_reason reason)
{
    return find(reason)->word;
}

uint16_t close_reason_status(enum close_reason reason)
{
    return find(reason)->status;
}

const char *close_reason_sentence(enum close_reason reason)
{
    return find(reason)->sentence;
}
