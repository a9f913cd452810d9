#include <stdlib.h>
#include <string.h>

#include "ctl/proposal.h"
#include "tests/unit/fake_api.h"
#include "tests/unit/unit.h"

/* Rehearses and performs against a script; what was said is the caller's. */
static enum ctl_exit propose(const struct fake_turn *turns, size_t count, struct proposal *proposal,
                             struct ctl *ctl, char **out, char **err)
{
    struct fake_api api;
    size_t len;
    fake_api_start(&api, turns, count);
    ctl->socket_path = api.path;
    ctl->out = open_memstream(out, &len);
    ctl->err = open_memstream(err, &len);
    enum ctl_exit code = proposal_rehearse(proposal);
    if (code == CTL_OK) {
        code = proposal_perform(proposal);
    }
    (void)fclose(ctl->out);
    (void)fclose(ctl->err);
    fake_api_stop(&api);
    fake_api_fini(&api);
    return code;
}

#define ANSWER                                                                                     \
    FAKE_JSON("{\"changes\":[{\"pointer\":\"/a\",\"before\":1}],\"warnings\":["                    \
              "{\"pointer\":\"#/pools/web/servers\",\"detail\":\"few\"},"                          \
              "{\"pointer\":\"#/pools/other\",\"detail\":\"also few\"}]}")
#define DONE FAKE_REPLY("200 OK", "Lbd-Revision: 8\r\nContent-Type: application/json\r\n", "{}")

START_TEST(rehearsed_then_done)
{
    static const struct fake_turn turns[] = {{"DELETE /v1/x?dry_run=true", ANSWER},
                                             {"DELETE /v1/x", DONE}};
    static const struct refusal_source source = {.root = {"/pools/web", 10}};
    struct ctl ctl;
    struct proposal proposal;
    char *out = NULL;
    char *err = NULL;
    ctl_init(&ctl);
    proposal_init(&proposal, &ctl, "DELETE", "/v1/x");
    proposal.source = &source;
    proposal.done = "deleted";
    buf_append_text(&proposal.undo, "lbctl put it back");
    ck_assert_int_eq(propose(turns, 2, &proposal, &ctl, &out, &err), CTL_OK);
    ck_assert_str_eq(out, "- /a: 1\ndeleted: 1 change, revision 8 (undo: lbctl put it back)\n");
    /* what is wrong elsewhere is no news */
    ck_assert_str_eq(err, "  warning: /pools/web/servers: few\n");
    free(out);
    free(err);
    proposal_fini(&proposal);
}
END_TEST

START_TEST(a_dry_run_ends_there)
{
    static const struct fake_turn turns[] = {{"PUT /v1/x?dry_run=true", ANSWER}};
    struct ctl ctl;
    struct proposal proposal;
    char *out = NULL;
    char *err = NULL;
    ctl_init(&ctl);
    ctl.dry_run = true;
    ctl.confirm_within = "5m"; /* is for the real one */
    proposal_init(&proposal, &ctl, "PUT", "/v1/x");
    ck_assert_int_eq(propose(turns, 1, &proposal, &ctl, &out, &err), CTL_OK);
    ck_assert_str_eq(out, "- /a: 1\nnot applied (dry run): 1 change\n");
    free(out);
    free(err);
    proposal_fini(&proposal);
}
END_TEST

START_TEST(a_refusal_goes_to_who_wants_it)
{
    static const struct fake_turn turns[] = {
        {"PUT /v1/x?dry_run=true", FAKE_PROBLEM("422 No", "{\"title\":\"no\"}")}};
    struct ctl ctl;
    struct proposal proposal;
    struct rest_reply refusal;
    char *out = NULL;
    char *err = NULL;
    ctl_init(&ctl);
    rest_reply_init(&refusal);
    proposal_init(&proposal, &ctl, "PUT", "/v1/x");
    proposal.refusal = &refusal;
    ck_assert_int_eq(propose(turns, 1, &proposal, &ctl, &out, &err), CTL_INVALID);
    ck_assert_uint_eq(refusal.status, 422);
    ck_assert_str_eq(refusal.body.data, "{\"title\":\"no\"}");
    ck_assert_str_eq(err, "");
    free(out);
    free(err);
    rest_reply_fini(&refusal);
    proposal_fini(&proposal);
}
END_TEST

START_TEST(who_is_overtaken_says_nothing)
{
    static const struct fake_turn turns[] = {
        {"PUT /v1/x?dry_run=true", FAKE_PROBLEM("412 No", "{\"title\":\"no\"}")}};
    struct ctl ctl;
    struct proposal proposal;
    char *out = NULL;
    char *err = NULL;
    ctl_init(&ctl);
    proposal_init(&proposal, &ctl, "PUT", "/v1/x");
    ck_assert_int_eq(propose(turns, 1, &proposal, &ctl, &out, &err), CTL_CONFLICT);
    ck_assert(proposal.was_overtaken);
    ck_assert_str_eq(err, "");
    free(out);
    free(err);
    proposal_fini(&proposal);
}
END_TEST

UNIT_TESTS("proposal", rehearsed_then_done, a_dry_run_ends_there, a_refusal_goes_to_who_wants_it,
           who_is_overtaken_says_nothing)
