#include "lbd/upstream/outlier.h"

#include <stdlib.h>

#include "lbd/base/mem.h"

static bool has_enough(const struct outlier_rules *rules, const struct outlier_sample *sample)
{
    return sample->counts && sample->requests != 0 && sample->requests >= rules->min_requests;
}

static double rate_of(const struct outlier_sample *sample)
{
    uint64_t failures = sample->failures < sample->requests ? sample->failures : sample->requests;
    return (double)(sample->requests - failures) / (double)sample->requests;
}

/* Each is compared with the others: in their own mean and deviation one bad server of few hides
 * itself, since one of n lies at most sqrt(n - 1) deviations below the mean of all. */
static void judge_rates(const struct outlier_rules *rules, struct outlier_sample *samples,
                        uint32_t count)
{
    double sum = 0;
    double squares = 0;
    uint32_t used = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (has_enough(rules, &samples[i])) {
            double rate = rate_of(&samples[i]);
            sum += rate;
            squares += rate * rate;
            used++;
        }
    }
    if (used < 2 || used < rules->min_servers) {
        return;
    }
    double factor = rules->stdev_percent / 100.0;
    double least = OUTLIER_RATE_DEVIATION * OUTLIER_RATE_DEVIATION;
    for (uint32_t i = 0; i < count; i++) {
        if (!has_enough(rules, &samples[i])) {
            continue;
        }
        double rate = rate_of(&samples[i]);
        double mean = (sum - rate) / (used - 1);
        double variance = (squares - rate * rate) / (used - 1) - mean * mean;
        variance = variance > least ? variance : least;
        double below = mean - rate;
        if (below > OUTLIER_RATE_SLACK && below * below > factor * factor * variance) {
            samples[i].why = OUTLIER_SUCCESS_RATE;
            samples[i].value = rate;
            samples[i].usual = mean;
        }
    }
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return x < y ? -1 : (x > y ? 1 : 0);
}

static bool has_latency(const struct outlier_rules *rules, const struct outlier_sample *sample)
{
    return sample->counts && sample->answers != 0 && sample->answers >= rules->min_requests;
}

static double latency_of(const struct outlier_sample *sample)
{
    return (double)sample->answers_us / (double)sample->answers;
}

static void judge_latencies(const struct outlier_rules *rules, struct outlier_sample *samples,
                            uint32_t count)
{
    double *sorted = mem_zero((size_t)count + 1, sizeof(*sorted));
    uint32_t used = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (has_latency(rules, &samples[i])) {
            sorted[used++] = latency_of(&samples[i]);
        }
    }
    if (used != 0 && used >= rules->min_servers) {
        qsort(sorted, used, sizeof(*sorted), compare);
        double median = sorted[(used - 1) / 2]; /* of two the quicker one */
        double limit = median * rules->latency_percent / 100;
        limit = limit > median + OUTLIER_SLACK_US ? limit : median + OUTLIER_SLACK_US;
        for (uint32_t i = 0; i < count; i++) {
            if (samples[i].why == OUTLIER_NONE && has_latency(rules, &samples[i]) &&
                latency_of(&samples[i]) > limit) {
                samples[i].why = OUTLIER_LATENCY;
                samples[i].value = latency_of(&samples[i]);
                samples[i].usual = median;
            }
        }
    }
    free(sorted);
}

void outlier_judge(const struct outlier_rules *rules, struct outlier_sample *samples,
                   uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        samples[i].why = OUTLIER_NONE;
    }
    if (rules->stdev_percent != 0) {
        judge_rates(rules, samples, count);
    }
    if (rules->latency_percent != 0) {
        judge_latencies(rules, samples, count);
    }
}

uint32_t outlier_eject_ms(const struct outlier_rules *rules, uint32_t times)
{
    uint64_t ms = (uint64_t)rules->eject_ms * (times != 0 ? times : 1);
    uint32_t most = rules->eject_max_ms > rules->eject_ms ? rules->eject_max_ms : rules->eject_ms;
    return ms < most ? (uint32_t)ms : most;
}

bool outlier_may_eject(const struct outlier_rules *rules, uint32_t count, uint32_t ejected,
                       uint32_t others_usable)
{
    uint64_t most = (uint64_t)count * rules->max_ejected / 100;
    return others_usable != 0 && (ejected == 0 || ejected < most);
}

const char *outlier_word(enum outlier_why why)
{
    switch (why) {
    case OUTLIER_NONE:
        return "none";
    case OUTLIER_CONSECUTIVE:
        return "consecutive_failures";
    case OUTLIER_SUCCESS_RATE:
        return "success_rate";
    case OUTLIER_LATENCY:
        return "latency";
    }
    return "";
}
