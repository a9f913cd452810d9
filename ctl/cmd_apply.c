#include "ctl/cmd_apply.h"

#include <string.h>

#include "ctl/confirm.h"
#include "ctl/document.h"
#include "ctl/proposal.h"

/* What a document holds that requests need. */
struct holdings {
    uint64_t listeners;
    uint64_t pools;
    uint64_t servers;
};

static bool is_managed_by(const struct json *resource, const char *owner)
{
    return owner == NULL || slice_eq(ctl_text(resource, "meta.managed_by"), slice_from(owner));
}

static struct holdings count(const struct json *document, const char *owner)
{
    struct holdings holdings = {.listeners = 0};
    const struct json *one;
    json_for_each(one, ctl_member(document, "listeners"))
    {
        holdings.listeners += is_managed_by(one, owner) ? 1 : 0;
    }
    json_for_each(one, ctl_member(document, "pools"))
    {
        if (is_managed_by(one, owner)) {
            holdings.pools++;
            holdings.servers += json_count(ctl_member(one, "servers"));
        }
    }
    return holdings;
}

enum ctl_exit cmd_apply_confirm(struct ctl *ctl, const struct json *before,
                                const struct json *after, const char *owner)
{
    struct holdings was = count(before, owner);
    struct holdings is = count(after, NULL); /* of an owner's file: all are its own */
    const char *gone = NULL;
    if (was.listeners + was.pools != 0 && is.listeners + is.pools == 0) {
        gone = "no listener and no pool";
    } else if (was.listeners != 0 && is.listeners == 0) {
        gone = "no listener";
    }
    if (gone != NULL) {
        return confirm_ask(ctl, "%s would be left%s%s", gone, owner != NULL ? " of owner " : "",
                           owner != NULL ? owner : "");
    }
    if (is.servers * 2 < was.servers) {
        return confirm_ask(ctl, "%llu of %llu servers would go",
                           (unsigned long long)(was.servers - is.servers),
                           (unsigned long long)was.servers);
    }
    return CTL_OK;
}

/* One try against what runs now. */
static enum ctl_exit try_once(struct ctl *ctl, const struct document *document,
                              struct proposal *proposal)
{
    struct rest_reply reply;
    enum ctl_exit code = CTL_OK;
    rest_reply_init(&reply);
    struct json *before = ctl_get(ctl, "/v1/config", &reply, &code);
    if (before == NULL) {
        goto out;
    }
    proposal->etag = reply.etag;
    proposal->revision_before = reply.revision;
    code = proposal_rehearse(proposal);
    if (code == CTL_OK && !ctl->dry_run) {
        code = cmd_apply_confirm(ctl, before, document->json, ctl->owner);
    }
    if (code == CTL_OK) {
        code = proposal_perform(proposal);
    }
out:
    json_free(before);
    rest_reply_fini(&reply);
    return code;
}

enum ctl_exit cmd_apply(struct ctl *ctl)
{
    struct document document;
    struct proposal proposal;
    if (ctl->file == NULL) {
        return ctl_fail(ctl, CTL_USAGE, "which file? lbctl apply -f FILE (- is stdin)");
    }
    enum ctl_exit code = document_read(ctl, ctl->file, "not applied", &document);
    proposal_init(&proposal, ctl, "PUT", "/v1/config");
    if (code == CTL_OK) {
        uint32_t tries = 0;
        proposal.source = &document.source;
        proposal.body = buf_slice(&document.body);
        do {
            code = try_once(ctl, &document, &proposal);
        } while (proposal.was_overtaken && proposal_tries_again(ctl, ++tries));
        if (proposal.was_overtaken) {
            (void)ctl_fail(ctl, code,
                           "not applied: somebody else keeps changing the configuration");
        }
    }
    proposal_fini(&proposal);
    document_fini(&document);
    return code;
}
