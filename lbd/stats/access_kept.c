/* access_kept - see access_kept.h. */
#include "lbd/stats/access_kept.h"

#include <stdlib.h>
#include <string.h>

#include "lbd/base/mem.h"

struct access_kept {
    struct access_record record;
    uint64_t start_us;
    struct slice values[]; /* of headers; the texts of all lie behind them */
};

static void keep(struct slice *field, char **at)
{
    if (field->len > 0) {
        memcpy(*at, field->ptr, field->len);
        field->ptr = *at;
        *at += field->len;
    }
}

/* Copies of the values, in `at`; their texts behind it. */
static const struct slice *keep_all(const struct slice *values, uint32_t count, struct slice **at,
                                    char **text)
{
    struct slice *kept = *at;
    if (values == NULL) {
        return NULL;
    }
    for (uint32_t i = 0; i < count; i++) {
        kept[i] = values[i];
        keep(&kept[i], text);
    }
    *at += count;
    return kept;
}

static size_t bytes_of(const struct slice *values, uint32_t count)
{
    size_t bytes = 0;
    for (uint32_t i = 0; values != NULL && i < count; i++) {
        bytes += sizeof(*values) + values[i].len;
    }
    return bytes;
}

struct access_kept *access_kept_new(const struct access_record *from, uint64_t now_us)
{
    struct access_record record = *from;
    struct slice *fields[] = {&record.listener,
                              &record.method,
                              &record.host,
                              &record.path,
                              &record.protocol,
                              &record.route,
                              &record.pool,
                              &record.server,
                              &record.request_id,
                              &record.tls,
                              &record.cipher,
                              &record.sni,
                              &record.subject,
                              &record.setting,
                              &record.setting_value,
                              &record.trace_id,
                              &record.shadow_policy,
                              &record.proxy_authority,
                              &record.proxy_unique_id,
                              &record.policy_key};
    size_t size = sizeof(struct access_kept) +
                  bytes_of(record.request_headers, record.request_header_count) +
                  bytes_of(record.response_headers, record.response_header_count);
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        size += fields[i]->len;
    }
    struct access_kept *kept = mem_alloc(size);
    struct slice *values = kept->values;
    uint32_t value_count = (record.request_headers != NULL ? record.request_header_count : 0) +
                           (record.response_headers != NULL ? record.response_header_count : 0);
    char *at = (char *)(values + value_count);
    record.request_headers =
        keep_all(record.request_headers, record.request_header_count, &values, &at);
    record.response_headers =
        keep_all(record.response_headers, record.response_header_count, &values, &at);
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        keep(fields[i], &at);
    }
    kept->record = record;
    kept->start_us = now_us - record.duration_us;
    return kept;
}

void access_kept_blame(struct access_kept *kept, struct slice setting, struct slice value)
{
    kept->record.setting = setting;
    kept->record.setting_value = value;
}

void access_kept_finish(struct access_kept *kept, struct access_log *log, enum close_reason reason,
                        uint64_t request_bytes, uint64_t response_bytes, uint64_t now_us)
{
    struct access_record *record = &kept->record;
    record->reason = reason;
    record->request_bytes += request_bytes;
    record->response_bytes += response_bytes;
    record->duration_us = now_us - kept->start_us;
    (void)access_log_write(log, record);
    free(kept);
}
