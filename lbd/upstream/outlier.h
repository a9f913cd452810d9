/*
 * outlier - which servers of a pool do so much worse than the others that they should rest?
 *
 * Pure arithmetic over what was counted in an interval; control_outlier counts, times and acts.
 *
 *     success rate   below the mean of the others by `stdev_percent` of their standard deviation,
 *                    which counts as OUTLIER_RATE_DEVIATION at least, and by more than
 *                    OUTLIER_RATE_SLACK
 *     latency        above `latency_percent` of the pool's median, and by more than
 *                    OUTLIER_SLACK_US
 *
 * Both need enough servers that had enough requests: of few, or of little, nothing can be said.
 *
 * Limits: none. Memory: the caller's, and one array for the median. Threads: any.
 */
#ifndef LBD_UPSTREAM_OUTLIER_H
#define LBD_UPSTREAM_OUTLIER_H

#include <stdbool.h>
#include <stdint.h>

/* Noise: of a rate from 0 to 1, and of a mean latency. */
#define OUTLIER_RATE_SLACK 0.01
#define OUTLIER_SLACK_US   1000.0
/* The least deviation of rates: among flawless servers two failures of fifty are chance. */
#define OUTLIER_RATE_DEVIATION 0.025

enum outlier_why { OUTLIER_NONE, OUTLIER_CONSECUTIVE, OUTLIER_SUCCESS_RATE, OUTLIER_LATENCY };

struct outlier_rules {
    uint32_t stdev_percent;   /* 190: 1.9 standard deviations; 0: rates are not looked at */
    uint32_t latency_percent; /* 300: three times the median; 0: latencies are not looked at */
    uint32_t min_servers;     /* with enough requests, at least */
    uint32_t min_requests;    /* of a server in the interval */
    uint32_t eject_ms;        /* the first time */
    uint32_t eject_max_ms;    /* however often */
    uint32_t max_ejected;     /* per cent of the servers */
};

/* What a server did in an interval. */
struct outlier_sample {
    uint64_t requests; /* that ended, well or badly */
    uint64_t failures; /* of them */
    uint64_t answers;
    uint64_t answers_us;  /* their times to the first byte, in all */
    bool counts;          /* it got requests all the time: usable, not ejected */
    enum outlier_why why; /* set by outlier_judge */
    double value;         /* set with `why`: its rate, or its mean latency in us */
    double usual;         /* set with `why`: the others' mean rate, the median of the latencies */
};

/* Sets `why` of each. */
void outlier_judge(const struct outlier_rules *rules, struct outlier_sample *samples,
                   uint32_t count);
/* How long, the `times`th time (from 1). */
uint32_t outlier_eject_ms(const struct outlier_rules *rules, uint32_t times);
/* May one more be ejected, of `count` servers of which so many are ejected and so many others than
 * this one usable? One always may, but never the last usable one. */
bool outlier_may_eject(const struct outlier_rules *rules, uint32_t count, uint32_t ejected,
                       uint32_t others_usable);
const char *outlier_word(enum outlier_why why); /* "success_rate" */

#endif
