#include "ctl/kind.h"

#include <stdio.h>
#include <string.h>

#include "ctl/command.h"
#include "ctl/server_name.h"

const char *const kind_words[] = {"listeners", "routes",     "policies",      "address-sets",
                                  "pools",     "servers",    "health-checks", "certificates",
                                  "ca-sets",   "mail-users", "mail-maps",     "mail-callbacks",
                                  "config",    NULL};

static const struct kind kinds[KIND_COUNT] = {
    {KIND_LISTENERS, "listeners", "listener", "listeners", "/v1/listeners"},
    {KIND_ROUTES, "routes", "route", "routes", "/v1/routes"},
    {KIND_POLICIES, "policies", "policy", "policies", "/v1/policies"},
    {KIND_ADDRESS_SETS, "address-sets", "address-set", "address_sets", "/v1/address-sets"},
    {KIND_POOLS, "pools", "pool", "pools", "/v1/pools"},
    {KIND_SERVERS, "servers", "server", "pools", "/v1/pools"},
    {KIND_HEALTH_CHECKS, "health-checks", "health-check", "health_checks", "/v1/health-checks"},
    {KIND_CERTIFICATES, "certificates", "certificate", "certificates", "/v1/certificates"},
    {KIND_CA_SETS, "ca-sets", "ca-set", "ca_sets", "/v1/ca-sets"},
    {KIND_MAIL_USERS, "mail-users", "mail-user", "mail_users", "/v1/mail/users"},
    {KIND_MAIL_MAPS, "mail-maps", "mail-map", "mail_maps", "/v1/mail/maps"},
    {KIND_MAIL_CALLBACKS, "mail-callbacks", "mail-callback", "mail_callbacks",
     "/v1/mail/callbacks"},
    {KIND_CONFIG, "config", "config", NULL, "/v1/config"},
};

const struct kind *kind_find(const char *word)
{
    for (size_t i = 0; i < KIND_COUNT; i++) {
        const struct kind *kind = &kinds[i];
        if (strcmp(word, kind->plural) == 0 || strcmp(word, kind->singular) == 0) {
            return kind;
        }
    }
    /* the document spells it with '_' */
    if (strcmp(word, "health_checks") == 0 || strcmp(word, "health_check") == 0) {
        return &kinds[KIND_HEALTH_CHECKS];
    }
    if (strcmp(word, "cert") == 0 || strcmp(word, "certs") == 0) { /* as `lbctl cert` does */
        return &kinds[KIND_CERTIFICATES];
    }
    bool is_ca_set = strcmp(word, "ca_sets") == 0 || strcmp(word, "ca_set") == 0;
    return is_ca_set ? &kinds[KIND_CA_SETS] : kind_of_key(slice_from(word));
}

const struct kind *kind_of_key(struct slice key)
{
    for (size_t i = 0; i < KIND_COUNT; i++) {
        if (kinds[i].key != NULL && slice_eq(slice_from(kinds[i].key), key)) {
            return &kinds[i];
        }
    }
    return NULL;
}

const struct kind *kind_read(struct ctl *ctl, const char *word, enum ctl_exit *code)
{
    const struct kind *kind = kind_find(word);
    const char *near = kind == NULL ? command_near(word, kind_words) : NULL;
    if (near != NULL) {
        *code = ctl_fail(ctl, CTL_USAGE, "no kind '%s'; did you mean '%s'?", word, near);
    } else if (kind == NULL) {
        *code = ctl_fail(
            ctl, CTL_USAGE,
            "no kind '%s': listeners, routes, policies, address-sets, pools, servers, "
            "health-checks, certificates, ca-sets, mail-users, mail-maps, mail-callbacks, config",
            word);
    }
    return kind;
}

void kind_split_pointer(struct ctl *ctl)
{
    const char *slash = ctl->arg_count == 1 ? strchr(ctl->args[0], '/') : NULL;
    if (slash == NULL) {
        return;
    }
    char word[32];
    (void)snprintf(word, sizeof(word), "%.*s", (int)(slash - ctl->args[0]), ctl->args[0]);
    const struct kind *kind = kind_find(word);
    if (kind != NULL && slash[1] != '\0') {
        ctl->args[0] = kind->plural;
        ctl->args[1] = slash + 1;
        ctl->arg_count = 2;
    }
}

static bool read_server(struct ctl *ctl, const char *text, struct kind_target *target,
                        enum ctl_exit *code)
{
    struct server_name name;
    if (!server_name_find(ctl, text, &name, code)) {
        return false;
    }
    if (name.server[0] == '\0') {
        *code = ctl_fail(ctl, CTL_USAGE, "'%s' must be POOL/SERVER", text);
        return false;
    }
    server_name_path(&name, &target->path);
    buf_printf(&target->pointer, "pools/%s/servers/%s", name.pool, name.server);
    buf_printf(&target->name, "%s/%s", name.pool, name.server);
    return true;
}

bool kind_target_read(struct ctl *ctl, const char *word, const char *name,
                      struct kind_target *target, enum ctl_exit *code)
{
    *target = (struct kind_target){.kind = kind_read(ctl, word, code)};
    buf_init(&target->path, CTL_PATH_MAX);
    buf_init(&target->pointer, CTL_PATH_MAX);
    buf_init(&target->name, CTL_PATH_MAX);
    const struct kind *kind = target->kind;
    if (kind == NULL) {
        return false;
    }
    if (kind->id == KIND_CONFIG) {
        if (name != NULL) {
            *code = ctl_fail(ctl, CTL_USAGE, "config is one document: it has no names");
            return false;
        }
        buf_append_text(&target->path, kind->path);
        buf_append_text(&target->name, "the configuration");
        return true;
    }
    if (name == NULL || name[0] == '\0') {
        *code = ctl_fail(ctl, CTL_USAGE, "which %s?", kind->singular);
        ctl_hint(ctl, "lbctl get %s", kind->plural);
        return false;
    }
    if (kind->id == KIND_SERVERS) {
        return read_server(ctl, name, target, code);
    }
    buf_append_text(&target->path, kind->path);
    rest_client_append_segment(&target->path, slice_from(name));
    buf_printf(&target->pointer, "%s/%s", kind->key, name);
    buf_append_text(&target->name, name);
    if (target->path.overflow || target->pointer.overflow || target->name.overflow) {
        *code = ctl_fail(ctl, CTL_USAGE, "the name is too long");
        return false;
    }
    return true;
}

void kind_target_fini(struct kind_target *target)
{
    buf_fini(&target->path);
    buf_fini(&target->pointer);
    buf_fini(&target->name);
}
