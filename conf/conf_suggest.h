/*
 * conf_suggest - what was probably meant: the nearest known word.
 *
 * Distance is that of Damerau and Levenshtein (one for each letter more, less or different, and for
 * two neighbours swapped), at most 2 and less than half of the word.
 *
 *     conf_suggest_init(&suggest, word); conf_suggest_offer(&suggest, candidate) for each;
 *     suggest.best is empty or the answer, the first one among equals.
 *
 * Limits: words of 64 bytes; longer ones are never suggested. Memory: borrows all words. Threads:
 * any.
 */
#ifndef CONF_CONF_SUGGEST_H
#define CONF_CONF_SUGGEST_H

#include <stdint.h>

#include "lbd/base/slice.h"

#define CONF_SUGGEST_LEN_MAX 64

struct conf_suggest {
    struct slice word;
    struct slice best;
    uint32_t distance; /* a candidate must be nearer than this */
};

void conf_suggest_init(struct conf_suggest *suggest, struct slice word);
void conf_suggest_offer(struct conf_suggest *suggest, struct slice candidate);
/* The distance, or CONF_SUGGEST_LEN_MAX when it is at least `limit`. Case does not count. */
uint32_t conf_suggest_distance(struct slice a, struct slice b, uint32_t limit);

#endif
