#include "conf/conf_suggest.h"

enum { DISTANCE_MAX = 2 };

static uint32_t smaller(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* Three rows of the table are enough: this one, the one above, and the one above that for swaps. */
uint32_t conf_suggest_distance(struct slice a, struct slice b, uint32_t limit)
{
    uint32_t rows[3][CONF_SUGGEST_LEN_MAX + 1];
    size_t difference = a.len > b.len ? a.len - b.len : b.len - a.len;
    if (a.len > CONF_SUGGEST_LEN_MAX || b.len > CONF_SUGGEST_LEN_MAX || difference >= limit) {
        return CONF_SUGGEST_LEN_MAX;
    }
    for (size_t j = 0; j <= b.len; j++) {
        rows[0][j] = (uint32_t)j;
    }
    for (size_t i = 1; i <= a.len; i++) {
        uint32_t *row = rows[i % 3];
        const uint32_t *above = rows[(i + 2) % 3];
        const uint32_t *two_above = rows[(i + 1) % 3];
        uint32_t least = row[0] = (uint32_t)i;
        char left = slice_lower(a.ptr[i - 1]);
        for (size_t j = 1; j <= b.len; j++) {
            char right = slice_lower(b.ptr[j - 1]);
            uint32_t cost = above[j - 1] + (left == right ? 0 : 1);
            cost = smaller(cost, smaller(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && left == slice_lower(b.ptr[j - 2]) &&
                slice_lower(a.ptr[i - 2]) == right) {
                cost = smaller(cost, two_above[j - 2] + 1);
            }
            row[j] = cost;
            least = smaller(least, cost);
        }
        if (least >= limit) {
            return CONF_SUGGEST_LEN_MAX; /* it only grows from here, but for one swap */
        }
    }
    uint32_t distance = rows[a.len % 3][b.len];
    return distance < limit ? distance : CONF_SUGGEST_LEN_MAX;
}

void conf_suggest_init(struct conf_suggest *suggest, struct slice word)
{
    /* "a" is not "b" misspelt: at most half of the letters may be wrong. */
    size_t most = word.len / 2;
    suggest->word = word;
    suggest->best = SLICE_NONE;
    suggest->distance = (most < DISTANCE_MAX ? (uint32_t)most : DISTANCE_MAX) + 1;
}

void conf_suggest_offer(struct conf_suggest *suggest, struct slice candidate)
{
    uint32_t distance = conf_suggest_distance(suggest->word, candidate, suggest->distance);
    if (distance < suggest->distance) {
        suggest->distance = distance;
        suggest->best = candidate;
    }
}
