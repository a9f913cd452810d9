#include "tests/unit/live_control.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <check.h>

#include "lbd/base/mem.h"
#include "lbd/base/now.h"
#include "lbd/control/conf_file.h"

#define LIMIT_US 60000000U

static void on_ready(void *arg)
{
    ((struct live_control *)arg)->is_ready = true;
}

static void on_drained(void *arg)
{
    ((struct live_control *)arg)->is_drained = true;
}

void live_control_turn(struct live_control *live)
{
    loop_run_once(live->loop, 20);
}

void live_control_until(struct live_control *live, const bool *flag)
{
    uint64_t began = now_us();
    while (!*flag && now_us() - began < LIMIT_US) {
        live_control_turn(live);
    }
    ck_assert_msg(*flag, "it did not happen in time");
}

void live_control_write(const struct live_control *live, const char *document, const char *daemon)
{
    FILE *file = fopen(live->file, "we");
    ck_assert_ptr_nonnull(file);
    (void)fprintf(file,
                  "{ // a file\n\"daemon\":{\"state_dir\":\"%s/state\",\"workers\":2,"
                  "\"access_log\":{\"path\":\"off\"}%s%s}%s%s}\n",
                  live->directory, daemon[0] != '\0' ? "," : "", daemon,
                  document[0] != '\0' ? "," : "", document);
    ck_assert_int_eq(fclose(file), 0);
}

bool live_control_restart(struct live_control *live)
{
    struct conf_errors *errors = mem_zero(1, sizeof(*errors));
    struct err *err = &live->answer.err;
    conf_errors_init(errors);
    err_clear(err);
    live->is_ready = live->is_drained = false;
    ck_assert_msg(conf_file_load(live->file, &live->seed, &live->daemon, errors, err), "%s %.*s",
                  err->text, SLICE_ARG(errors->errors[0].detail));
    conf_errors_fini(errors);
    free(errors);
    live->loop = loop_new(err);
    ck_assert_ptr_nonnull(live->loop);
    const struct control_options options = {
        .loop = live->loop,
        .daemon = live->daemon,
        .file = live->file,
        .ready = on_ready,
        .drained = on_drained,
        .arg = live,
    };
    live->control = control_new(&options, err);
    if (live->control == NULL || !control_start(live->control, live->seed, err)) {
        live_control_end(live);
        return false;
    }
    live_control_until(live, &live->is_ready);
    return true;
}

void live_control_start(struct live_control *live, const char *document, const char *daemon)
{
    memset(live, 0, sizeof(*live));
    (void)snprintf(live->directory, sizeof(live->directory), "/tmp/lbd-unit-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(live->directory));
    (void)snprintf(live->file, sizeof(live->file), "%s/lbd.json", live->directory);
    live_control_write(live, document, daemon);
    ck_assert_msg(live_control_restart(live), "%s", live->answer.err.text);
}

void live_control_end(struct live_control *live)
{
    control_free(live->control);
    loop_free(live->loop);
    conf_document_unref(live->seed);
    conf_daemon_free(live->daemon);
    live->control = NULL;
    live->loop = NULL;
    live->seed = NULL;
    live->daemon = NULL;
}

static int remove_one(const char *path, const struct stat *found, int type, struct FTW *at)
{
    (void)found;
    (void)type;
    (void)at;
    return remove(path);
}

void live_control_stop(struct live_control *live)
{
    if (live->loop != NULL) {
        live_control_end(live);
    }
    (void)nftw(live->directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void on_done(const struct control_result *result, void *arg)
{
    struct live_control *live = arg;
    struct live_answer *answer = &live->answer;
    ck_assert_msg(!answer->is_done, "done is called once");
    answer->is_done = true;
    answer->err = result->err;
    (void)snprintf(answer->problem, sizeof(answer->problem), "%s",
                   result->problem != NULL ? result->problem : "");
    answer->is_changed = result->is_changed;
    answer->is_created = result->is_created;
    answer->is_pending = result->is_pending;
    answer->revision = result->revision;
    answer->errors = result->errors->error_count;
    if (answer->errors != 0) {
        (void)snprintf(answer->first_pointer, sizeof(answer->first_pointer), "%.*s",
                       SLICE_ARG(result->errors->errors[0].pointer));
    }
    ck_assert((result->err.kind == ERR_NONE) == (result->document != NULL));
}

struct live_answer live_control_apply(struct live_control *live,
                                      const struct control_change *change)
{
    live->answer = (struct live_answer){0};
    control_apply(live->control, change, on_done, live);
    live_control_until(live, &live->answer.is_done);
    return live->answer;
}

struct live_answer live_control_change(struct live_control *live, enum conf_edit edit,
                                       const char *pointer, const char *body)
{
    const struct control_change change = {
        .edit = edit,
        .pointer = slice_from(pointer),
        .body = slice_from(body),
        .who = SLICE("test"),
    };
    struct live_answer answer = live_control_apply(live, &change);
    ck_assert_msg(answer.err.kind == ERR_NONE, "%s: %s %s", pointer, answer.err.text,
                  answer.first_pointer);
    return answer;
}

static void on_wished(const struct control_wished *wished, void *arg)
{
    struct live_control *live = arg;
    ck_assert_msg(!live->answer.is_done, "done is called once");
    live->answer.is_done = true;
    live->answer.err = wished->err;
    live->answer.is_changed = wished->is_changed;
}

struct live_answer live_control_wish(struct live_control *live, const struct control_wish *wish)
{
    live->answer = (struct live_answer){0};
    control_override_set(live->control, wish, on_wished, live);
    live_control_until(live, &live->answer.is_done);
    return live->answer;
}

bool live_control_admin(struct live_control *live, const char *server, enum server_admin state)
{
    const struct control_wish wish = {
        .kind = OVERRIDE_ADMIN,
        .pool = SLICE("p"),
        .name = slice_from(server),
        .state = state,
        .reason = SLICE("kernel"),
        .who = SLICE("me"),
    };
    struct live_answer answer = live_control_wish(live, &wish);
    ck_assert_msg(answer.err.kind == ERR_NONE, "%s: %s", server, answer.err.text);
    return answer.is_changed;
}
