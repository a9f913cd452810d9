#include "lbd/worker/requests.h"

#include <stdlib.h>
#include <string.h>

#include "lbd/base/mem.h"
#include "lbd/worker/worker_inside.h"

enum { TEXTS = 5 };

struct question;

/* What one worker is asked, and what it says. */
struct part {
    struct mailbox_message message; /* to the worker, then back */
    struct question *question;
    struct worker *worker;
    struct recent_entry **entries; /* room for query.limit; the newest first */
    uint32_t count;
    uint32_t taken; /* control's: of those that go into the answer */
    uint64_t total;
};

struct question {
    struct requests_query query;
    char *texts;
    struct addr_small client;
    uint32_t waiting; /* control's */
    uint32_t part_count;
    void (*done)(const struct requests_answer *answer, void *arg);
    void *arg;
    struct part parts[];
};

/* -- on the workers -- */

static bool is_named(struct slice wanted, struct slice name)
{
    return wanted.len == 0 || slice_eq(wanted, name);
}

static bool has_tried(const struct recent_entry *entry, struct slice server)
{
    bool found = is_named(server, entry->record.server);
    for (uint32_t i = 0; i < entry->try_count && !found; i++) {
        found = slice_eq(entry->tries[i].server, server);
    }
    return found;
}

static bool fits(const struct requests_query *query, const struct recent_entry *entry)
{
    const struct access_record *record = &entry->record;
    uint16_t status = query->status < 10 ? record->status / 100 : record->status;
    return is_named(query->id, record->request_id) && is_named(query->listener, record->listener) &&
           is_named(query->route, record->route) && is_named(query->pool, record->pool) &&
           has_tried(entry, query->server) &&
           (!query->has_reason || query->reason == record->reason) &&
           (query->status == 0 || query->status == status) &&
           record->duration_us >= query->min_us &&
           (query->client == NULL || addr_small_is_same_ip(query->client, &record->client));
}

static bool look(const struct recent_entry *entry, void *arg)
{
    struct part *part = arg;
    const struct requests_query *query = &part->question->query;
    if (fits(query, entry)) {
        part->total++;
        if (part->count < query->limit) {
            part->entries[part->count++] = recent_copy(entry);
        }
    }
    return true;
}

static void on_answer(struct mailbox_message *message, void *receiver);

static void ask_at_worker(struct mailbox_message *message, void *receiver)
{
    struct part *part = container_of(message, struct part, message);
    struct worker *worker = receiver;
    recent_each(&worker->proxy.recent, look, part);
    part->message.deliver = on_answer;
    mailbox_post(worker->workers->options.control, &part->message);
}

/* -- on control -- */

/* The part whose next one is the newest; NULL: all are taken. */
static struct part *newest(struct question *question)
{
    struct part *found = NULL;
    for (uint32_t i = 0; i < question->part_count; i++) {
        struct part *part = &question->parts[i];
        if (part->taken < part->count &&
            (found == NULL || part->entries[part->taken]->record.time_us >
                                  found->entries[found->taken]->record.time_us)) {
            found = part;
        }
    }
    return found;
}

static void free_it(struct question *question)
{
    for (uint32_t i = 0; i < question->part_count; i++) {
        struct part *part = &question->parts[i];
        for (uint32_t e = 0; e < part->count; e++) {
            free(part->entries[e]);
        }
        free((void *)part->entries);
    }
    free(question->texts);
    free(question);
}

static void on_answer(struct mailbox_message *message, void *receiver)
{
    struct question *question = container_of(message, struct part, message)->question;
    struct requests_answer answer = {0};
    (void)receiver;
    if (--question->waiting > 0) {
        return;
    }
    for (uint32_t i = 0; i < question->part_count; i++) {
        answer.total += question->parts[i].total;
    }
    answer.entries = mem_alloc((question->query.limit + 1) * sizeof(const struct recent_entry *));
    struct part *part;
    while (answer.count < question->query.limit && (part = newest(question)) != NULL) {
        answer.entries[answer.count++] = part->entries[part->taken++];
    }
    question->done(&answer, question->arg);
    free((void *)answer.entries);
    free_it(question);
}

/* The query's texts become the question's own. */
static void keep_texts(struct question *question)
{
    struct requests_query *query = &question->query;
    struct slice *const texts[TEXTS] = {&query->id, &query->listener, &query->route, &query->pool,
                                        &query->server};
    size_t size = 1;
    for (size_t i = 0; i < TEXTS; i++) {
        size += texts[i]->len;
    }
    char *at = mem_alloc(size);
    question->texts = at;
    for (size_t i = 0; i < TEXTS; i++) {
        if (texts[i]->len != 0) {
            memcpy(at, texts[i]->ptr, texts[i]->len);
            texts[i]->ptr = at;
            at += texts[i]->len;
        }
    }
    if (query->client != NULL) {
        question->client = *query->client;
        query->client = &question->client;
    }
}

void requests_ask(struct workers *workers, const struct requests_query *query,
                  void (*done)(const struct requests_answer *answer, void *arg), void *arg)
{
    struct question *question =
        mem_zero(1, sizeof(*question) + workers->count * sizeof(struct part));
    question->query = *query;
    keep_texts(question);
    question->done = done;
    question->arg = arg;
    question->part_count = workers->count;
    question->waiting = workers->count;
    for (uint32_t i = 0; i < workers->count; i++) {
        struct part *part = &question->parts[i];
        part->question = question;
        part->worker = &workers->list[i];
        part->entries = mem_zero(query->limit + 1, sizeof(*part->entries));
        part->message.deliver = ask_at_worker;
    }
    for (uint32_t i = 0; i < workers->count; i++) {
        mailbox_post(&workers->list[i].mailbox, &question->parts[i].message);
    }
}
