/*
 * main - flags, then one room after the other, then the control loop, then back in reverse order.
 *
 *     read the file -> open the log -> become our user
 *         -> state directory, sockets, workers -> API -> run
 *
 * Exit codes: 0 stopped as asked, 1 the system did not let us, 2 usage, 78 the configuration is
 * wrong (EX_CONFIG; systemd does not restart on it).
 */
#include <fcntl.h>
#include <getopt.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/api.h"
#include "api/api_openapi.h"
#include "api/api_socket.h"
#include "conf/conf_schema.h"
#include "conf/conf_seal.h"
#include "conf/conf_vault.h"
#include "lbd/base/addr.h"
#include "lbd/base/log.h"
#include "lbd/base/mem.h"
#include "lbd/control/cert_check.h"
#include "lbd/control/conf_file.h"
#include "lbd/control/conf_report.h"
#include "lbd/control/control.h"
#include "lbd/control/policy_check.h"
#include "lbd/control/privileges.h"
#include "lbd/control/service.h"
#include "lbd/control/signals.h"
#include "lbd/net/inherit.h"
#include "lbd/net/loop.h"
#include "lbd_version.h"

#define FILE_DEFAULT "/etc/lbd/lbd.json"

enum { EXIT_STOPPED = 0, EXIT_RUNTIME = 1, EXIT_USAGE = 2, EXIT_CONFIG = 78 };

struct flags {
    const char *file;
    bool check;
    bool is_strict; /* -t: warnings are errors */
    bool as_json;   /* -t */
};

/* The running program. */
struct lbd {
    struct conf_daemon *daemon;
    struct conf_document *seed;
    struct loop *loop;
    struct control *control;
    struct api *api;
    struct signals *signals;
    struct service service;
    struct inherit inherit; /* sockets that the service manager passed */
    bool is_stopping;
};

/* -- flags -- */

static const char usage_text[] =
    "usage: lbd [-c FILE]\n"
    "       lbd -t [--strict] [--json] [-c FILE]\n"
    "  -c, --config FILE  the configuration (default " FILE_DEFAULT ")\n"
    "  -t, --check        say all that is wrong with it and exit: 0 nothing, 78 something\n"
    "      --strict       a warning is wrong, too\n"
    "      --json         say it as JSON, on the standard output\n"
    "      --openapi      print the API as an OpenAPI document and exit\n"
    "      --schema       print a JSON Schema of the configuration and exit\n"
    "      --version      print the version and exit\n"
    "      --help         print this and exit\n";

/* Writes what one of the tables says to the standard output. */
static int print_made(void (*write)(struct buf *out))
{
    struct buf text;
    buf_init(&text, 64U * 1024U * 1024U);
    write(&text);
    bool ok = fwrite(text.data, 1, text.len, stdout) == text.len && fflush(stdout) == 0;
    buf_fini(&text);
    return ok ? EXIT_STOPPED : EXIT_RUNTIME;
}

static void print_version(void)
{
    (void)printf("lbd %s\ncompression:", LBD_VERSION);
    for (enum conf_encoding encoding = 0; encoding < CONF_ENCODING_COUNT; encoding++) {
        if (conf_encoding_is_built(encoding)) {
            (void)printf(" %s", conf_encoding_word(encoding));
        }
    }
    (void)putchar('\n');
}

static int read_flags(int argc, char **argv, struct flags *flags)
{
    enum {
        OPTION_VERSION = 1000,
        OPTION_HELP,
        OPTION_OPENAPI,
        OPTION_SCHEMA,
        OPTION_STRICT,
        OPTION_JSON
    };
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},
        {"check", no_argument, NULL, 't'},
        {"version", no_argument, NULL, OPTION_VERSION},
        {"help", no_argument, NULL, OPTION_HELP},
        {"openapi", no_argument, NULL, OPTION_OPENAPI},
        {"schema", no_argument, NULL, OPTION_SCHEMA},
        {"strict", no_argument, NULL, OPTION_STRICT},
        {"json", no_argument, NULL, OPTION_JSON},
        {NULL, 0, NULL, 0},
    };
    int option = 0;
    while ((option = getopt_long(argc, argv, "c:t", options, NULL)) != -1) {
        switch (option) {
        case 'c':
            flags->file = optarg;
            break;
        case 't':
            flags->check = true;
            break;
        case OPTION_VERSION:
            print_version();
            return EXIT_STOPPED;
        case OPTION_HELP:
            (void)fputs(usage_text, stdout);
            return EXIT_STOPPED;
        case OPTION_OPENAPI:
            return print_made(api_openapi_write);
        case OPTION_SCHEMA:
            return print_made(conf_schema_write_json);
        case OPTION_STRICT:
            flags->is_strict = true;
            break;
        case OPTION_JSON:
            flags->as_json = true;
            break;
        default:
            (void)fputs(usage_text, stderr);
            return EXIT_USAGE;
        }
    }
    if (optind != argc) {
        (void)fprintf(stderr, "lbd: '%s' is one word too many\n%s", argv[optind], usage_text);
        return EXIT_USAGE;
    }
    if (!flags->check && (flags->is_strict || flags->as_json)) {
        (void)fprintf(stderr, "lbd: --strict and --json go with -t\n%s", usage_text);
        return EXIT_USAGE;
    }
    return -1;
}

/* -- the file -- */

static void report(const struct flags *flags, const struct conf_errors *errors, const char *failure)
{
    struct buf text;
    buf_init(&text, 4U * 1024U * 1024U);
    if (flags->as_json) {
        conf_report_json(errors, flags->file, failure, &text);
        (void)fprintf(stdout, "%.*s", SLICE_ARG(buf_slice(&text)));
    } else {
        conf_report_text(errors, flags->file, isatty(STDERR_FILENO) == 1, &text);
        if (failure != NULL) {
            (void)buf_printf(&text, "lbd: %s\n", failure);
        }
        (void)fprintf(stderr, "%.*s", SLICE_ARG(buf_slice(&text)));
    }
    buf_fini(&text);
}

/* With the keys that are stored, when a daemon has run here. */
static bool check_certificates(const struct lbd *lbd, struct conf_errors *errors)
{
    struct registry_tls tls;
    char *dir = mem_slicedup(lbd->daemon->state_dir);
    int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const struct conf_disk disk = {.dir = dir};
    struct conf_vault *vault = dir_fd >= 0 ? conf_vault_new(&disk, dir_fd) : NULL;
    registry_tls_init(&tls);
    tls.vault = vault;
    bool ok = cert_check(&tls, conf_document_conf(lbd->seed), errors);
    registry_tls_fini(&tls);
    conf_vault_free(vault);
    if (dir_fd >= 0) {
        (void)close(dir_fd);
    }
    free(dir);
    return ok;
}

/* What the file names must be fit to be used as well. */
static bool check_files(const struct lbd *lbd, const char *file, struct conf_errors *errors,
                        struct err *err)
{
    struct err why = {0};
    struct buf summary;
    bool ok = api_check(lbd->daemon, &why);
    if (!ok) {
        conf_errors_add_at(errors, slice_from(why.place), "unusable-file", SLICE_NONE, "%s",
                           why.text);
    }
    ok = check_certificates(lbd, errors) && ok;
    ok = policy_check(NULL, conf_document_conf(lbd->seed), errors) && ok;
    conf_file_locate(file, errors);
    if (!ok) {
        buf_init(&summary, 128);
        conf_errors_summary(errors, &summary);
        (void)err_set(err, ERR_INVALID, "'%s' is not valid: %.*s", file,
                      SLICE_ARG(buf_slice(&summary)));
        buf_fini(&summary);
    }
    return ok;
}

static bool read_file(struct lbd *lbd, const struct flags *flags)
{
    struct conf_errors *errors = mem_zero(1, sizeof(*errors));
    struct err err = {0};
    conf_errors_init(errors);
    bool ok = conf_file_load(flags->file, &lbd->seed, &lbd->daemon, errors, &err) &&
              (!flags->check || check_files(lbd, flags->file, errors, &err));
    if (ok && flags->is_strict && errors->warning_count != 0) {
        ok = err_set(&err, ERR_INVALID, "'%s' has %u warning%s", flags->file, errors->warning_count,
                     errors->warning_count == 1 ? "" : "s");
    }
    report(flags, errors, ok ? NULL : err.text);
    if (ok && flags->check && !flags->as_json &&
        isatty(STDERR_FILENO) == 1) { /* scripts have the exit code */
        (void)fprintf(stderr, "lbd: '%s' is valid\n", flags->file);
    }
    conf_errors_fini(errors);
    free(errors);
    return ok;
}

static void free_file(struct lbd *lbd)
{
    conf_document_unref(lbd->seed);
    if (lbd->daemon != NULL) {
        conf_daemon_free(lbd->daemon);
    }
}

/* -- rights -- */

/* What must exist before root is given up: directories and log files, the user's own. */
static bool make_places(const struct conf_daemon *daemon, const struct privileges_user *user,
                        struct err *err)
{
    char usual[API_SOCKET_PATH_MAX + 8];
    char *path = mem_slicedup(daemon->state_dir);
    bool ok = privileges_make_directory(path, 0700, user, err);
    free(path);

    api_socket_default(usual);
    for (uint32_t i = 0; ok && (i == 0 || i < daemon->api.listen_count); i++) {
        struct slice address =
            daemon->api.listen_count != 0 ? daemon->api.listen[i] : slice_from(usual);
        if (!addr_is_unix(address)) {
            continue;
        }
        path = mem_slicedup(slice_from_at(address, strlen("unix:")));
        ok = privileges_make_directory(dirname(path), 0750, user, err);
        free(path);
    }
    const struct slice logs[] = {daemon->log_path, daemon->access_log_path, daemon->api.audit.path};
    for (size_t i = 0; ok && i < ARRAY_LEN(logs); i++) {
        path = mem_slicedup(logs[i]);
        ok = path[0] != '/' || privileges_make_file(path, user, err);
        free(path);
    }
    return ok;
}

static bool settle_rights(const struct conf_daemon *daemon, struct err *err)
{
    struct privileges_user user;
    (void)privileges_raise_files();
    if (geteuid() == 0) {
        bool has_user = daemon->user.len != 0 && !slice_eq(daemon->user, SLICE("root"));
        if (has_user && !privileges_find_user(daemon->user, &user, err)) {
            return false;
        }
        if (!make_places(daemon, has_user ? &user : NULL, err) ||
            (has_user && !privileges_drop(&user, err))) {
            return false;
        }
    }
    privileges_forbid_new();
    return true;
}

static bool open_log(const struct conf_daemon *daemon, struct err *err)
{
    char *path = mem_slicedup(daemon->log_path);
    bool ok = log_init(daemon->log_level, daemon->log_format, path, err);
    free(path);
    return ok;
}

/* -- while it runs -- */

static void on_ready(void *arg)
{
    struct lbd *lbd = arg;
    if (lbd->is_stopping) {
        return; /* the workers were quick, but starting failed elsewhere */
    }
    log_info("lbd.ready", "version=%s revision=%llu workers=%u", LBD_VERSION,
             (unsigned long long)control_facts(lbd->control)->revision,
             control_facts(lbd->control)->workers);
    service_ready(&lbd->service);
}

static void on_drained(void *arg)
{
    struct lbd *lbd = arg;
    log_info("lbd.drained", "stop=now");
    loop_stop(lbd->loop);
}

static void on_reloaded(const struct control_result *result, void *arg)
{
    (void)result;
    service_ready(&((struct lbd *)arg)->service);
}

static void on_term(struct lbd *lbd)
{
    uint32_t limit_ms = lbd->daemon->drain_timeout_ms;
    if (lbd->is_stopping) {
        log_info("lbd.stop", "by=second_SIGTERM");
        loop_stop(lbd->loop);
        return;
    }
    lbd->is_stopping = true;
    log_info("lbd.drain", "by=SIGTERM limit_ms=%u", limit_ms);
    service_stopping(&lbd->service);
    control_drain(lbd->control, limit_ms);
}

static void on_signal(int number, void *arg)
{
    struct lbd *lbd = arg;
    switch (number) {
    case SIGTERM:
        on_term(lbd);
        break;
    case SIGINT:
        log_info("lbd.stop", "by=SIGINT");
        service_stopping(&lbd->service);
        loop_stop(lbd->loop);
        break;
    case SIGHUP:
        log_info("lbd.reload", "by=SIGHUP");
        service_reloading(&lbd->service);
        api_reload(lbd->api);
        control_reload(lbd->control, on_reloaded, lbd);
        break;
    case SIGUSR1:
        control_reopen_logs(lbd->control);
        api_reopen_logs(lbd->api);
        break;
    default:
        break;
    }
}

/* -- start and stop -- */

/* An address was changed in one place and not in the other. What is configured runs all the same.
 */
static void say_left_sockets(const struct inherit *inherit)
{
    const struct inherit_socket *left = NULL;
    uint32_t cursor = 0;
    char text[ADDR_TEXT_MAX];
    while ((left = inherit_left(inherit, &cursor)) != NULL) {
        (void)addr_write(&left->address, text);
        log_error("lbd.socket_not_taken",
                  "name=%s address=%s why=\"the service manager passed it, but no listener of this "
                  "name binds this address\"",
                  left->name, text);
    }
}

static bool start(struct lbd *lbd, const char *file, struct err *err)
{
    if (!inherit_read(&lbd->inherit, INHERIT_FIRST_FD, err)) {
        return false;
    }
    lbd->loop = loop_new(err);
    if (lbd->loop == NULL) {
        return false;
    }
    const struct control_options options = {
        .loop = lbd->loop,
        .daemon = lbd->daemon,
        .file = file,
        .inherit = &lbd->inherit,
        .ready = on_ready,
        .drained = on_drained,
        .arg = lbd,
    };
    lbd->control = control_new(&options, err);
    if (lbd->control == NULL || !control_start(lbd->control, lbd->seed, err)) {
        return false;
    }
    const struct api_options api = {
        .loop = lbd->loop,
        .control = lbd->control,
        .daemon = lbd->daemon,
        .inherit = &lbd->inherit,
    };
    lbd->api = api_new(&api, err);
    lbd->signals = lbd->api != NULL ? signals_new(lbd->loop, on_signal, lbd, err) : NULL;
    if (lbd->signals == NULL) {
        return false;
    }
    say_left_sockets(&lbd->inherit);
    service_start(&lbd->service, lbd->loop, lbd->control);
    return true;
}

static void stop(struct lbd *lbd)
{
    lbd->is_stopping = true;
    service_stop(&lbd->service);
    signals_free(lbd->signals);
    api_leave(lbd->api);
    api_end_streams(lbd->api);
    control_stop(lbd->control); /* ends what API requests wait for */
    api_free(lbd->api);
    control_free(lbd->control);
    inherit_close(&lbd->inherit);
    if (lbd->loop != NULL) {
        loop_free(lbd->loop);
    }
    free_file(lbd);
}

static int say_failed(const struct conf_daemon *daemon, const struct err *err)
{
    log_error("lbd.start_failed", "at=%s why=\"%s\"", err->place, err->text);
    if (!slice_eq(daemon->log_path, SLICE("stderr"))) {
        (void)fprintf(stderr, "lbd: %s\n", err->text);
    }
    return err->kind == ERR_INVALID ? EXIT_CONFIG : EXIT_RUNTIME;
}

/* Started without 0, 1 or 2, the next socket would get the number, and a client our log. */
static void fill_standard_files(void)
{
    int fd = 0;
    do {
        fd = open("/dev/null", O_RDWR); /* the lowest that is free; no CLOEXEC, as 0-2 are */
    } while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0) {
        (void)close(fd);
    }
}

int main(int argc, char **argv)
{
    struct flags flags = {.file = FILE_DEFAULT};
    struct lbd lbd = {0};
    struct err err = {0};

    fill_standard_files();
    conf_seal_set(cert_check_seal);
    int code = read_flags(argc, argv, &flags);
    if (code >= 0) {
        return code;
    }
    if (!read_file(&lbd, &flags)) {
        free_file(&lbd); /* valid, but not strictly */
        return EXIT_CONFIG;
    }
    code = EXIT_STOPPED;
    if (!flags.check) {
        signals_block(); /* before any thread */
        if (!settle_rights(lbd.daemon, &err) || !open_log(lbd.daemon, &err) ||
            !start(&lbd, flags.file, &err)) {
            code = say_failed(lbd.daemon, &err);
        } else {
            loop_run(lbd.loop);
            log_info("lbd.stopped", "code=%d", code);
        }
    }
    stop(&lbd);
    return code;
}
