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

/* What "{policy cors}" or "{pool NAME}" stands for. */
static void write_name(struct buf *out, struct slice mark, struct slice policy, struct slice pool)
{
    struct slice what;
    (void)slice_split(&mark, ' ', &what);
    if (slice_eq(what, SLICE("pool"))) {
        (void)buf_append_slice(out, pool.len != 0 ? pool : mark);
    } else if (policy.len != 0) {
        (void)buf_printf(out, "the policy `%.*s`", SLICE_ARG(policy));
    } else {
        (void)buf_printf(out, "the `%.*s` policy", SLICE_ARG(mark));
    }
}

void close_advice_write(struct buf *out, enum close_reason reason, struct slice policy,
                        struct slice pool)
{
    assert((unsigned)reason < CLOSE_REASON_COUNT);
    struct slice rest = slice_from(advices[reason].text != NULL ? advices[reason].text : "");
    struct slice part;
    while (rest.len != 0 && slice_split(&rest, '{', &part)) {
        (void)buf_append_slice(out, part);
        if (rest.len != 0 && slice_split(&rest, '}', &part)) {
            write_name(out, part, policy, pool);
        }
    }
}
