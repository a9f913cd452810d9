/*
 * probe_peer - a small scripted server on the test's own loop: reads a request, answers as told;
 * and a field to run probes on it.
 *
 * Threads: the test's.
 */
#ifndef TESTS_UNIT_PROBE_PEER_H
#define TESTS_UNIT_PROBE_PEER_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/base/addr.h"
#include "lbd/base/list.h"
#include "lbd/net/loop.h"
#include "lbd/tls/tls_context.h"
#include "lbd/upstream/health_probe.h"

struct probe_peer {
    struct loop *loop;
    int fd;
    struct loop_watch watch;
    struct addr address;
    struct list_node conns; /* open connections */
    /* the script; may change at any time */
    const char *answer;      /* NULL: says nothing */
    const char *ends;        /* what a request ends with; NULL: an empty line */
    uint32_t chunk;          /* bytes per send, a pass of the loop between them; 0: all at once */
    bool greets;             /* answers before anything was said */
    bool closes;             /* after the answer; without one: when the request is there */
    bool resets;             /* instead of answering */
    bool stays;              /* after the answer: for the next request */
    struct tls_context *tls; /* borrowed: it speaks TLS; NULL: clear */
    /* what was seen */
    uint32_t accepted;
    char request[4096]; /* of the latest connection */
};

/* Listens on 127.0.0.1, any port; or on a unix path. */
void probe_peer_init(struct probe_peer *peer, struct loop *loop, const char *unix_path);
void probe_peer_fini(struct probe_peer *peer);
uint32_t probe_peer_open(const struct probe_peer *peer);

/* A loop, a peer on it, and what the latest probe said. */
struct probe_field {
    struct loop *loop;
    struct probe_peer peer;
    bool done;
    uint32_t calls;
    enum health_probe_verdict verdict;
    uint64_t duration_us;
    char text[HEALTH_PROBE_TEXT_MAX];
    bool is_degraded;
    char capabilities[256];
    struct tls_client *tls; /* borrowed: probes speak it; NULL: clear */
    const char *tls_name;
};

void probe_field_init(struct probe_field *field);
void probe_field_fini(struct probe_field *field);
/* Runs one probe to its end. */
void probe_field_run(struct probe_field *field, const struct conf_health_check *check,
                     const struct addr *address);
/* The callback of a probe whose `arg` is the field. */
void probe_field_note(const struct health_probe_result *result, void *arg);
/* The verdict, and what its text begins with. */
void probe_field_expect(const struct probe_field *field, enum health_probe_verdict verdict,
                        const char *text);
extern const struct conf_health_check probe_field_tcp;
extern const struct conf_health_check probe_field_http; /* GET /health, 2xx */

#endif
