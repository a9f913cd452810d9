#include "ctl/cmd_cert.h"

#include <string.h>

#include "conf/json/json_write.h"
#include "ctl/cmd_set.h"
#include "ctl/proposal.h"
#include "ctl/text_file.h"
#include "lbd/base/mem.h"
#include "lbd/base/num.h"

enum { SOON_DAYS = 30, WARN_DAYS = 14, DAY_MS = 24 * 3600 * 1000 };

/* -- cells -- */

void cmd_cert_cell_state(struct print_table *table, const struct json *config,
                         const struct json *status)
{
    struct slice state = ctl_text(status, "state");
    bool is_old = ctl_text(status, "failure").len != 0;
    (void)config;
    if (is_old) { /* what is shown is not what the file says */
        print_table_cellf(table, PRINT_WARN, "%.*s, file bad", SLICE_ARG(state));
    } else {
        print_table_cell(table, slice_eq(state, SLICE("valid")) ? PRINT_GOOD : PRINT_BAD, state);
    }
}

/* The day is enough, and needs the year. */
void cmd_cert_cell_date(struct print_table *table, const struct json *config,
                        const struct json *status)
{
    enum { DATE_LEN = 10 }; /* 2027-01-25 */
    struct slice end = ctl_text(status, "not_after");
    (void)config;
    print_table_cell(table, PRINT_PLAIN,
                     slice_of(end.ptr, end.len < DATE_LEN ? end.len : DATE_LEN));
}

/* False: it is not known. */
static bool days_of(const struct json *status, int64_t *days)
{
    return json_integer(json_get(status, SLICE("days_left")), days);
}

void cmd_cert_cell_days(struct print_table *table, const struct json *config,
                        const struct json *status)
{
    int64_t days = 0;
    (void)config;
    if (!days_of(status, &days)) {
        print_table_cell(table, PRINT_PLAIN, SLICE_NONE);
        return;
    }
    enum print_color color = days < 0 ? PRINT_BAD : days < WARN_DAYS ? PRINT_WARN : PRINT_PLAIN;
    print_table_cellf(table, color, "%lld", (long long)days);
}

/* "ec 256": of two certificates for one name, which is which. */
void cmd_cert_cell_key(struct print_table *table, const struct json *config,
                       const struct json *status)
{
    struct slice type = ctl_text(status, "key_type");
    (void)config;
    if (type.len == 0) {
        print_table_cell(table, PRINT_PLAIN, SLICE_NONE);
    } else {
        print_table_cellf(table, PRINT_PLAIN, "%.*s %llu", SLICE_ARG(type),
                          (unsigned long long)ctl_number(status, "key_bits"));
    }
}

/* -- list, expiring -- */

static void add_row(struct print_table *table, const struct json *one)
{
    const struct json *name = NULL;
    struct buf names;
    print_table_cell(table, PRINT_PLAIN, json_key(one));
    cmd_cert_cell_state(table, NULL, one);
    cmd_cert_cell_date(table, NULL, one);
    cmd_cert_cell_days(table, NULL, one);
    cmd_cert_cell_key(table, NULL, one);
    print_table_cell(table, PRINT_PLAIN, ctl_text(one, "source"));
    print_table_cell(table, PRINT_PLAIN, ctl_text(one, "ocsp"));
    buf_init(&names, CTL_TEXT_MAX);
    json_for_each(name, ctl_member(one, "names"))
    {
        buf_append_text(&names, names.len != 0 ? ", " : "");
        buf_append_slice(&names, json_string(name));
    }
    print_table_cell(table, PRINT_PLAIN, buf_slice(&names));
    buf_fini(&names);
}

static void print_table_of(struct ctl *ctl, const struct json *picked)
{
    static const char *const titles[] = {"NAME", "STATE",  "NOT-AFTER", ">DAYS",
                                         "KEY",  "SOURCE", "OCSP",      "NAMES"};
    struct print_table table;
    const struct json *one = NULL;
    print_table_init(&table);
    for (size_t i = 0; i < ARRAY_LEN(titles); i++) {
        print_table_column(&table, titles[i]);
    }
    json_for_each(one, picked)
    {
        add_row(&table, one);
    }
    print_table_write(&table, ctl->out, ctl->color, ctl->width);
    print_table_fini(&table);
}

static void print_picked(struct ctl *ctl, const struct json *picked)
{
    const struct json *one = NULL;
    switch (ctl->output) {
    case CTL_JSON:
        ctl_print_json(ctl, picked);
        return;
    case CTL_JSONL:
        json_for_each(one, picked)
        {
            struct json *line = json_copy(one);
            json_set(line, SLICE("name"), json_new_string(json_key(one)));
            ctl_print_json(ctl, line);
            json_free(line);
        }
        return;
    case CTL_NAME:
        json_for_each(one, picked)
        {
            print_text(ctl->out, json_key(one));
            (void)fputc('\n', ctl->out);
        }
        return;
    case CTL_TABLE:
    case CTL_WIDE:
        break;
    }
    print_table_of(ctl, picked);
}

/* Those with fewer than `days` days left; *count of them. */
static struct json *pick(const struct json *all, int64_t days, uint32_t *count)
{
    struct json *picked = json_new_object();
    const struct json *one = NULL;
    json_for_each(one, all)
    {
        int64_t left = 0;
        if (!days_of(one, &left) || left < days) {
            json_add(picked, json_key(one), json_copy(one));
            (*count)++;
        }
    }
    return picked;
}

static enum ctl_exit list(struct ctl *ctl, int64_t days, uint32_t *count)
{
    enum ctl_exit code = CTL_OK;
    struct json *status = ctl_get(ctl, "/v1/status", NULL, &code);
    if (status == NULL) {
        return code;
    }
    struct json *picked = pick(ctl_member(status, "certificates"), days, count);
    print_picked(ctl, picked);
    json_free(picked);
    json_free(status);
    return CTL_OK;
}

enum ctl_exit cmd_cert_list(struct ctl *ctl)
{
    uint32_t count = 0;
    return list(ctl, INT64_MAX, &count);
}

enum ctl_exit cmd_cert_expiring(struct ctl *ctl)
{
    uint64_t ms = (uint64_t)SOON_DAYS * DAY_MS;
    uint32_t count = 0;
    if (ctl->until != NULL && !num_parse_duration_ms(slice_from(ctl->until), &ms)) {
        return ctl_fail(ctl, CTL_USAGE, "--for must be a time such as 30d");
    }
    enum ctl_exit code = list(ctl, (int64_t)(ms / DAY_MS), &count);
    return code == CTL_OK && count != 0 ? CTL_NO : code;
}

/* -- put -- */

/* What is sent, and where to. */
struct sending {
    struct buf chain;
    struct buf key;
    struct buf body;
    struct buf path;
};

static void fini(struct sending *sending)
{
    struct buf *const secrets[] = {&sending->chain, &sending->key, &sending->body};
    for (size_t i = 0; i < ARRAY_LEN(secrets); i++) {
        if (secrets[i]->data != NULL) {
            mem_wipe(secrets[i]->data, secrets[i]->len);
        }
        buf_fini(secrets[i]);
    }
    buf_fini(&sending->path);
}

/* One file may hold both, as some authorities give them. */
static enum ctl_exit read_both(struct ctl *ctl, struct sending *sending)
{
    const char *key_file = ctl->key_file != NULL ? ctl->key_file : ctl->chain_file;
    if (ctl->chain_file == NULL) {
        return ctl_fail(ctl, CTL_USAGE,
                        "which? lbctl cert put %s --chain FILE --key FILE (- is stdin)",
                        ctl->args[0]);
    }
    if (ctl->key_file != NULL && strcmp(ctl->chain_file, "-") == 0 &&
        strcmp(ctl->key_file, "-") == 0) {
        return ctl_fail(ctl, CTL_USAGE,
                        "stdin is one text: both in it, and no --key, or one of them a file");
    }
    enum ctl_exit code = text_file_read(ctl, ctl->chain_file, &sending->chain);
    if (code != CTL_OK) {
        return code;
    }
    if (ctl->key_file == NULL) {
        buf_append_slice(&sending->key, buf_slice(&sending->chain));
    } else {
        code = text_file_read(ctl, key_file, &sending->key);
    }
    if (code == CTL_OK &&
        memmem(sending->key.data, sending->key.len, "PRIVATE KEY-----", 16) == NULL) {
        return ctl_fail(ctl, CTL_USAGE, "%s holds no private key (PEM)%s", text_file_name(key_file),
                        ctl->key_file == NULL ? ": --key FILE says where it is" : "");
    }
    return code;
}

static void write_body(struct sending *sending, bool is_patch)
{
    struct json_write w;
    json_write_init(&w, &sending->body, JSON_COMPACT);
    json_write_object_begin(&w);
    json_write_member_string(&w, "chain", buf_slice(&sending->chain));
    json_write_member_string(&w, "key", buf_slice(&sending->key));
    if (is_patch) { /* it may have come from files */
        json_write_key(&w, "chain_file");
        json_write_null(&w);
        json_write_key(&w, "key_file");
        json_write_null(&w);
    }
    json_write_object_end(&w);
}

static bool find_path(struct ctl *ctl, struct buf *path, enum ctl_exit *code)
{
    buf_append_text(path, "/v1/certificates");
    rest_client_append_segment(path, slice_from(ctl->args[0]));
    if (path->overflow) {
        *code = ctl_fail(ctl, CTL_USAGE, "the name is too long");
    }
    return !path->overflow;
}

/* Remarks about a certificate stay when it is renewed. */
static enum ctl_exit try_once(struct ctl *ctl, struct sending *sending, struct proposal *proposal)
{
    struct rest_reply reply;
    enum ctl_exit code = CTL_OK;
    bool is_there = false;
    const struct rest_request request = {.method = "GET", .target = sending->path.data};
    rest_reply_init(&reply);
    if (!ctl_ask(ctl, &request, &reply, &code)) {
        goto out;
    }
    is_there = reply.status == 200;
    if (!is_there && reply.status != 404) {
        code = refusal_print(ctl, &reply, NULL);
        goto out;
    }
    buf_clear(&sending->body);
    write_body(sending, is_there);
    proposal->method = is_there ? "PATCH" : "PUT";
    proposal->etag = is_there ? reply.etag : NULL;
    proposal->if_none = !is_there;
    proposal->revision_before = reply.revision;
    proposal->body = buf_slice(&sending->body);
    code = proposal_rehearse(proposal);
    if (code == CTL_OK) {
        code = proposal_perform(proposal);
    }
out:
    rest_reply_fini(&reply);
    return code;
}

enum ctl_exit cmd_cert_put(struct ctl *ctl)
{
    struct sending sending;
    struct proposal proposal;
    enum ctl_exit code = CTL_OK;
    buf_init(&sending.path, CTL_PATH_MAX);
    buf_init(&sending.body, CTL_TEXT_MAX);
    text_file_init(&sending.chain);
    text_file_init(&sending.key);
    if (ctl->cert_file != NULL && ctl->key_file != NULL) {
        code = ctl_fail(ctl, CTL_USAGE,
                        "--key is the key of the certificate that is put: who we are must be said "
                        "by a context (lbctl context add)");
    } else {
        code = read_both(ctl, &sending);
    }
    ctl->key_file = NULL; /* it is not for showing who we are */
    if (code == CTL_OK && find_path(ctl, &sending.path, &code)) {
        uint32_t tries = 0;
        struct buf root; /* what is to be said of other things is not about this one */
        buf_init(&root, CTL_PATH_MAX);
        buf_printf(&root, "/certificates/%s", ctl->args[0]);
        const struct refusal_source source = {.verdict = "not put", .root = buf_slice(&root)};
        proposal_init(&proposal, ctl, "PUT", sending.path.data);
        proposal.source = &source;
        proposal.done = "put";
        do {
            code = try_once(ctl, &sending, &proposal);
        } while (proposal.was_overtaken && proposal_tries_again(ctl, ++tries));
        if (proposal.was_overtaken) {
            (void)ctl_fail(ctl, code, "not put: somebody else keeps changing certificate %s",
                           ctl->args[0]);
        }
        proposal_fini(&proposal);
        buf_fini(&root);
    }
    fini(&sending);
    return code;
}

enum ctl_exit cmd_cert_rm(struct ctl *ctl)
{
    ctl->args[1] = ctl->args[0];
    ctl->args[0] = "certificate";
    ctl->arg_count = 2;
    return cmd_set_delete(ctl);
}
