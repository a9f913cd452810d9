#include "lbd/base/compiler.h"
#include "lbd/stats/prometheus_accept.h"
#include "tests/unit/unit.h"

#define OPEN "application/openmetrics-text"

static const struct {
    const char *accept;
    enum prometheus_format want;
} cases[] = {
    {NULL, PROMETHEUS_TEXT},
    {"", PROMETHEUS_TEXT},
    {"*/*", PROMETHEUS_TEXT}, /* curl */
    {"text/plain", PROMETHEUS_TEXT},
    {OPEN, PROMETHEUS_OPENMETRICS},
    {"APPLICATION/OpenMetrics-Text; Version=1.0.0; charset=utf-8", PROMETHEUS_OPENMETRICS},
    /* Prometheus 2.42 and 3.0 */
    {OPEN ";version=1.0.0," OPEN ";version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
     PROMETHEUS_OPENMETRICS},
    {OPEN ";version=1.0.0;escaping=allow-utf-8;q=0.6," OPEN
          ";version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;"
          "version=0.0.4;q=0.3,*/*;q=0.2",
     PROMETHEUS_OPENMETRICS},
    /* quality decides, not the order */
    {"text/plain;q=0.9, " OPEN ";q=0.5", PROMETHEUS_TEXT},
    {OPEN ";q=0.5, text/plain;q=0.9", PROMETHEUS_TEXT},
    {"text/plain;q=0.5, " OPEN ";q=0.501", PROMETHEUS_OPENMETRICS},
    {"text/plain, " OPEN, PROMETHEUS_OPENMETRICS}, /* both alike: the richer one */
    {OPEN ";q=0", PROMETHEUS_TEXT},
    {OPEN ";q=0, */*", PROMETHEUS_TEXT},
    {OPEN ";q=0.4, */*;q=0.5", PROMETHEUS_TEXT},
    {OPEN ";q=0.4, text/*;q=0.3, */*;q=0.5", PROMETHEUS_OPENMETRICS}, /* the exacter range counts */
    {OPEN ";q=0.4, text/plain;q=0.3, text/*, */*", PROMETHEUS_OPENMETRICS},
    /* versions that we do not speak */
    {OPEN ";version=0.0.1", PROMETHEUS_TEXT},
    {OPEN ";version=2.0.0, text/plain;q=0.1", PROMETHEUS_TEXT},
    {OPEN ";version=\"1.0.0\"", PROMETHEUS_OPENMETRICS},
    {OPEN ";q=0.2, text/plain;version=1.0.0", PROMETHEUS_OPENMETRICS},
    /* what cannot be read is passed over */
    {OPEN ";q=2", PROMETHEUS_TEXT},
    {OPEN ";q=1.1", PROMETHEUS_TEXT},
    {OPEN ";q=0.1234", PROMETHEUS_TEXT},
    {OPEN ";q=x", PROMETHEUS_TEXT},
    {OPEN ";q=-1", PROMETHEUS_TEXT},
    {OPEN ";q=", PROMETHEUS_TEXT},
    {",,;q=1,;," OPEN ";;", PROMETHEUS_OPENMETRICS},
    {"x" OPEN "," OPEN "x", PROMETHEUS_TEXT},
    {"text/html;a=" OPEN, PROMETHEUS_TEXT},
};

START_TEST(quality_and_version_decide)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        enum prometheus_format got = prometheus_accept(slice_from(cases[i].accept));
        ck_assert_msg(got == cases[i].want, "%s: %s", cases[i].accept,
                      got == PROMETHEUS_TEXT ? "text" : "OpenMetrics");
    }
}
END_TEST

UNIT_TESTS("prometheus_accept", quality_and_version_decide)
