#include "lbd/base/close_advice.h"

#include "lbd/base/compiler.h"

struct advice {
    enum close_by by;
    const char *text;
};

static const struct advice advices[CLOSE_REASON_COUNT] = {
#define ADVICE(name, by, text) [CLOSE_##name] = {CLOSE_BY_##by, text},
#include "lbd/base/close_advice.def"
#undef ADVICE
};

enum close_by close_advice_by(enum close_reason reason)
{
    assert((unsigned)reason < CLOSE_REASON_COUNT);
    return advices[reason].by;
}

const char *close_advice_by_word(enum close_by by)
{
    static const char *const words[] = {[CLOSE_BY_LBD] = "lbd",
                                        [CLOSE_BY_NOBODY] = "nobody",
                                        [CLOSE_BY_CLIENT] = "client",
                                        [CLOSE_BY_SERVER] = "server",
                                        [CLOSE_BY_OPERATOR] = "operator"};
    return words[by];
}

const char *close_advice_text(enum close_reason reason)
{
    assert((unsigned)reason < CLOSE_REASON_COUNT);
    const char *text = advices[reason].text;
    return text != NULL ? text : "";
}
