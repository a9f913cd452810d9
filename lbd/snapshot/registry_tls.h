/*
 * registry_tls - certificates, sets of authorities, ticket keys, secrets and bodies in files, which
 * live on while documents come and go.
 *
 *     document --registry_certificate_of--> tls_cert   proposed: nobody sees it yet
 *                     then commit: it is the one, or sweep: it is forgotten
 *     file     --registry_tls_look-------> another tls_cert of the same document, when the file is
 *                                          good; else the old one stays and `failure` says why
 *
 * Found again by name. What comes in again with the same content is the same object, with what was
 * learnt about it (its OCSP answer). Connections and snapshots hold the objects, never what is
 * here.
 *
 * `tls_epoch` of the registry goes up when an object is another one without a new document: then
 * the newest snapshot is not current any more (snapshot_is_current).
 *
 * Ticket keys, secrets and bodies are found by their file; keys of "" are those of the process.
 *
 * Memory: one reference on each object. Threads: control.
 */
#ifndef LBD_SNAPSHOT_REGISTRY_TLS_H
#define LBD_SNAPSHOT_REGISTRY_TLS_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/conf.h"
#include "lbd/base/compiler.h"
#include "lbd/base/err.h"
#include "lbd/base/file_stamp.h"
#include "lbd/base/map.h"
#include "lbd/snapshot/body_file.h"
#include "lbd/snapshot/condition.h"
#include "lbd/tls/tls_ca.h"
#include "lbd/tls/tls_cert.h"
#include "lbd/tls/tls_secret.h"
#include "lbd/tls/tls_tickets.h"

#define REGISTRY_MATERIAL_FILES 2

struct conf_vault;
struct registry;

enum registry_material_kind {
    REGISTRY_CERTIFICATE, /* tls_cert */
    REGISTRY_CA_SET,      /* tls_ca */
    REGISTRY_TICKETS,     /* tls_tickets */
    REGISTRY_SECRET,      /* tls_secret */
    REGISTRY_BODY         /* body_file */
};

/* Where something was read from, and in which state that was. */
struct registry_source {
    char *paths[REGISTRY_MATERIAL_FILES]; /* owned; NULL: not from a file */
    struct file_stamp stamps[REGISTRY_MATERIAL_FILES];
    size_t min_bytes; /* of a secret: with fewer the file is bad */
};

struct registry_material {
    char *name; /* owned */
    enum registry_material_kind kind;
    void *object;     /* held; NULL: it is only proposed */
    uint64_t version; /* of the part of the document that it was made from */
    struct registry_source source;
    void *proposed; /* held, or NULL */
    uint64_t proposed_version;
    struct registry_source proposed_source;
    bool is_doubtful;       /* its files changed and are bad; perhaps they are being written */
    char failure[384];      /* why the newest state of its files is not used; "": it is */
    uint64_t since_wall_us; /* when this object came into use */
    struct conditions conditions;
};

/* What is known about a certificate beside what it says itself. */
struct registry_certificate {
    struct registry_material material; /* first */
    const struct tls_cert *chain_of;   /* borrowed, to compare: whose chain was looked at */
    enum tls_chain chain;              /* and what it is */
    uint32_t told_days;                /* an event told that it ends within so many; 0: none did */
    bool told_expired;
    /* its state at its authority; control's */
    struct {
        uint64_t next_us;        /* monotonic: then it is asked again; 0: at once */
        uint32_t failures;       /* in a row */
        const void *question;    /* that is under way; NULL: none */
        bool has_answer;         /* of this object */
        uint32_t status;         /* enum tls_ocsp_status of that answer */
        uint64_t this_update_us; /* wall clock */
        uint64_t next_update_us;
        char failure[160]; /* of the last try; "": it worked, or there was none */
    } ocsp;
};

/* Is told of each object that is another one than before; `object` is already the new one. */
typedef void (*registry_tls_changed_fn)(struct registry_material *material, void *arg);

struct registry_tls {
    struct map certificates;        /* name -> struct registry_certificate */
    struct map ca_sets;             /* name -> struct registry_material */
    struct map tickets;             /* path -> struct registry_material */
    struct map secrets;             /* path -> struct registry_material */
    struct map bodies;              /* path -> struct registry_material */
    const struct conf_vault *vault; /* borrowed; NULL: nothing is stored; set by control */
    uint64_t epoch;
    registry_tls_changed_fn changed; /* told by commit; NULL: nobody; set by control */
    void *arg;
};

void registry_tls_init(struct registry_tls *tls);
void registry_tls_fini(struct registry_tls *tls);

/* What a part of a document stands for, read if it was not yet; borrowed until the next commit or
 * sweep. NULL: *err says why; its place is the key below the part that is to blame. */
LB_MUST_CHECK struct tls_cert *registry_certificate_of(struct registry_tls *tls,
                                                       const struct conf_certificate *conf,
                                                       struct err *err);
LB_MUST_CHECK struct tls_ca *registry_ca_set_of(struct registry_tls *tls,
                                                const struct conf_ca_set *conf, struct err *err);
/* `file` empty: those of the process. */
LB_MUST_CHECK struct tls_tickets *registry_tickets_of(struct registry_tls *tls, struct slice file,
                                                      struct err *err);
/* `min_bytes`, 1 or more: of all who use the same file, the most. */
LB_MUST_CHECK struct tls_secret *registry_secret_of(struct registry_tls *tls, struct slice file,
                                                    size_t min_bytes, struct err *err);
/* Of a route that answers with a file. */
LB_MUST_CHECK struct body_file *registry_body_of(struct registry_tls *tls, struct slice file,
                                                 struct err *err);

/* NULL: there is none. */
struct registry_certificate *registry_find_certificate(const struct registry_tls *tls,
                                                       struct slice name);
struct registry_material *registry_find_ca_set(const struct registry_tls *tls, struct slice name);
struct registry_material *registry_find_body(const struct registry_tls *tls, struct slice file);

/* `conf` is what runs from now on: what it does not name is forgotten. */
void registry_tls_commit(struct registry_tls *tls, const struct conf *conf);
/* Forgets what is only proposed. */
void registry_tls_sweep(struct registry_tls *tls);

struct registry_tls_look {
    registry_tls_changed_fn changed; /* the files are good, and other ones */
    registry_tls_changed_fn failed;  /* they are not: `failure` is new */
    void *arg;
};
/* Have files changed? At most `limit` objects from *cursor on (0 at first; it wraps). */
void registry_tls_look(struct registry_tls *tls, size_t *cursor, uint32_t limit,
                       const struct registry_tls_look *look);

#endif
