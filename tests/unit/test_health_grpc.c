#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lbd/http/h2_frame.h"
#include "lbd/upstream/health_grpc.h"
#include "tests/unit/h2_frames.h"
#include "tests/unit/loop_stand.h"
#include "tests/unit/unit.h"

static struct loop_stand stand;
static enum health_probe_verdict verdict;
static char text[HEALTH_PROBE_TEXT_MAX];
static bool is_done;

static void note(const struct health_probe_result *result, void *arg)
{
    (void)arg;
    is_done = true;
    verdict = result->verdict;
    (void)snprintf(text, sizeof(text), "%s", result->text);
}

static const struct {
    const char *body; /* of the answer, with its prefix */
    size_t len;
    const char *grpc_status; /* NULL: the answer's end has none */
    unsigned http_status;
    enum health_probe_verdict verdict;
    const char *text;
} answers[] = {
    {"\0\0\0\0\2\x08\x01", 7, "0", 200, HEALTH_PROBE_PASSED, "SERVING in "},
    {"\0\0\0\0\2\x08\x02", 7, "0", 200, HEALTH_PROBE_FAILED, "NOT_SERVING in "},
    {"\0\0\0\0\2\x08\x03", 7, "0", 200, HEALTH_PROBE_FAILED, "SERVICE_UNKNOWN in "},
    {"\0\0\0\0\0", 5, "0", 200, HEALTH_PROBE_FAILED, "UNKNOWN in "},
    /* fields that nobody knows are passed over */
    {"\0\0\0\0\x05\x12\x01x\x08\x01", 10, "0", 200, HEALTH_PROBE_PASSED, "SERVING in "},
    {"\0\0\0\0\x0b\x19"
     "12345678\x08\x01",
     16, "0", 200, HEALTH_PROBE_PASSED, "SERVING in "},
    {"\0\0\0\0\3\x08\x81\x00", 8, "0", 200, HEALTH_PROBE_PASSED, "SERVING in "},
    {"\0\0\0\0\2\x08\x09", 7, "0", 200, HEALTH_PROBE_FAILED, "malformed answer"},
    {"\0\0\0\0\2\x08", 6, "0", 200, HEALTH_PROBE_FAILED, "malformed answer"},
    {"\0\0\0\0\1\x08", 6, "0", 200, HEALTH_PROBE_FAILED, "malformed answer"},
    {"\1\0\0\0\2\x08\x01", 7, "0", 200, HEALTH_PROBE_FAILED, "malformed answer"},
    {"\0\0\0\0\2\x12\x7f", 7, "0", 200, HEALTH_PROBE_FAILED, "malformed answer"},
    {"\0\0\0\0\1\x0f", 6, "0", 200, HEALTH_PROBE_FAILED, "malformed answer"},
    {"", 0, "0", 200, HEALTH_PROBE_FAILED, "malformed answer"},
    {"", 0, "12", 200, HEALTH_PROBE_FAILED, "it does not implement grpc.health.v1.Health"},
    {"", 0, "5", 200, HEALTH_PROBE_FAILED, "it does not know the service 'shop.Cart'"},
    {"", 0, "14", 200, HEALTH_PROBE_FAILED, "grpc-status 14"},
    {"hello", 5, NULL, 200, HEALTH_PROBE_FAILED, "HTTP 200 without a grpc-status"},
    {"", 0, NULL, 404, HEALTH_PROBE_FAILED, "HTTP 404, expected 200 and a grpc-status"},
};

static void write_answer(struct h2_frames *frames, int row)
{
    char head[64];
    h2_frames_say(frames, "S");
    (void)snprintf(head, sizeof(head), "A1 %u", answers[row].http_status);
    h2_frames_say(frames, head);
    bool has_trailers = answers[row].grpc_status != NULL;
    h2_frames_add(frames, H2_DATA, has_trailers ? 0 : H2_END_STREAM, 1,
                  slice_of(answers[row].body, answers[row].len));
    if (has_trailers) {
        (void)snprintf(head, sizeof(head), "T1 grpc-status: %s", answers[row].grpc_status);
        h2_frames_say(frames, head);
    }
}

START_TEST(a_call_is_a_verdict)
{
    const struct conf_health_check check = {
        .type = CONF_CHECK_GRPC, .timeout_ms = 2000, .service = SLICE("shop.Cart")};
    struct addr address;
    ck_assert(addr_parse(SLICE("127.0.0.1:0"), &address));
    loop_stand_open(&stand);
    int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(listening, &address.u.any, address.len), 0);
    ck_assert_int_eq(listen(listening, 8), 0);
    ck_assert_int_eq(getsockname(listening, &address.u.any, &address.len), 0);
    struct health_probe_plan *plan = health_probe_plan_new(&check);
    const struct health_probe_server server = {.address = &address, .authority = SLICE("a:1")};
    is_done = false;
    (void)health_probe_start(stand.loop, plan, &server, note, NULL);
    int fd = accept(listening, NULL, NULL);
    ck_assert_int_ge(fd, 0);
    struct h2_frames frames;
    h2_frames_init(&frames);
    write_answer(&frames, _i);
    ck_assert_uint_eq(peer_write(fd, frames.bytes, frames.len), frames.len);
    loop_stand_until(&stand, is_done);
    ck_assert_msg(verdict == answers[_i].verdict &&
                      strncmp(text, answers[_i].text, strlen(answers[_i].text)) == 0,
                  "row %d: %d %s", _i, (int)verdict, text);
    h2_frames_fini(&frames);
    health_probe_plan_unref(plan);
    (void)close(fd);
    (void)close(listening);
    loop_stand_close(&stand);
}
END_TEST

static void add_answers(TCase *tcase)
{
    tcase_add_loop_test(tcase, a_call_is_a_verdict, 0, ARRAY_LEN(answers));
}

UNIT_MAIN("health_grpc", add_answers)
