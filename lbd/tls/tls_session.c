#include "lbd/tls/tls_session.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "lbd/base/hash.h"
#include "lbd/base/mem.h"
#include "lbd/tls/tls_client.h"
#include "lbd/tls/tls_error.h"
#include "lbd/tls/tls_front_inside.h"
#include "lbd/tls/tls_peer.h"
#include "lbd/tls/tls_session_inside.h"
#include "lbd/tls/tls_wire.h"

#define LATE_MAX 16384U /* answers to a peer that makes us answer and does not read */
#define HOLD_MAX 2048U  /* a ticket */

struct tls_session {
    struct tls_wire wire;
    SSL *ssl;
    struct tls_front *front; /* referenced; NULL: not a client's connection */
    struct tls_peer *peer;   /* NULL: nobody asked, or there is no certificate */
    struct tls_peer *whole;  /* the same with the certificate; requests under way may use `peer` */
    char *why;               /* NULL: nothing went wrong */
    uint64_t name_hash;      /* of what SNI said */
    uint64_t demand;         /* tls_front_demand that the client has met, or is about to */
    bool has_name;
    bool name_is_known;
    bool is_broken; /* nothing may be said any more */
    bool has_ended; /* the peer says nothing more */
    bool owes;      /* the caller's next byte was sealed already: see tls_session_write */
    enum tls_trouble trouble;
};

/* -- life -- */

struct tls_session *tls_session_new(struct tls_context *context, int fd, const char *peer_name,
                                    struct err *err)
{
    struct tls_session *session = NULL;
    tls_error_clear();
    if (tls_context_front(context) != NULL) {
        session = tls_session_of_client(tls_context_front(context), fd);
    } else {
        SSL *ssl = tls_client_begin(tls_context_client(context), peer_name, NULL);
        session = ssl != NULL ? tls_session_adopt(ssl, fd) : NULL;
    }
    if (session == NULL) {
        (void)tls_error_set(err, ERR_SYSTEM, "cannot begin TLS");
    }
    return session;
}

struct tls_session *tls_session_adopt(struct ssl_st *ssl, int fd)
{
    struct tls_session *session = mem_zero(1, sizeof(*session));
    session->ssl = ssl;
    if (!tls_wire_attach(&session->wire, ssl, fd)) {
        tls_session_free(session);
        return NULL;
    }
    return session;
}

struct tls_session *tls_session_of_client(struct tls_front *front, int fd)
{
    SSL *ssl = tls_front_begin(front);
    struct tls_session *session = ssl != NULL ? tls_session_adopt(ssl, fd) : NULL;
    if (session != NULL) {
        session->front = tls_front_ref(front);
        session->demand = tls_front_demand(front);
    }
    return session;
}

void tls_session_is_told(struct tls_session *session, bool is_told)
{
    session->wire.is_told = is_told;
}

struct ssl_st *tls_session_handle(const struct tls_session *session)
{
    return session->ssl;
}

struct tls_session *tls_session_of(const struct ssl_st *ssl)
{
    return container_of(tls_wire_of(ssl), struct tls_session, wire);
}

const struct tls_front *tls_session_front(const struct tls_session *session)
{
    return session->front;
}

void tls_session_free(struct tls_session *session)
{
    if (session != NULL) {
        SSL_free(session->ssl);
        tls_wire_fini(&session->wire);
        tls_front_unref(session->front);
        tls_peer_free(session->peer);
        tls_peer_free(session->whole);
        free(session->why);
        free(session);
    }
}

/* -- what goes wrong -- */

static enum tls_trouble trouble_of(const struct tls_session *session, unsigned long code)
{
    int reason = ERR_GET_REASON(code);
    if (code == 0 || ERR_SYSTEM_ERROR(code)) {
        return TLS_TROUBLE_CLOSED;
    }
    if (ERR_GET_LIB(code) != ERR_LIB_SSL) {
        return TLS_TROUBLE_OTHER;
    }
    if (reason >= SSL_AD_REASON_OFFSET) {
        return TLS_TROUBLE_REFUSED; /* the peer's alert */
    }
    switch (reason) {
    case SSL_R_HTTP_REQUEST:
        return TLS_TROUBLE_PLAIN_HTTP;
    case SSL_R_HTTPS_PROXY_REQUEST:
    case SSL_R_WRONG_VERSION_NUMBER:
        return TLS_TROUBLE_NOT_TLS;
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_NO_SHARED_CIPHER:
    case SSL_R_NO_SHARED_GROUPS:
    case SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS:
    case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM:
    case SSL_R_NO_SUITABLE_KEY_SHARE:
    case SSL_R_NO_SUITABLE_GROUPS:
    case SSL_R_INAPPROPRIATE_FALLBACK:
    case SSL_R_UNKNOWN_PROTOCOL:
    case SSL_R_VERSION_TOO_LOW:
        return TLS_TROUBLE_NOTHING_SHARED;
    case SSL_R_NO_APPLICATION_PROTOCOL:
        return TLS_TROUBLE_PROTOCOL;
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
        return TLS_TROUBLE_NO_CERTIFICATE;
    case SSL_R_CERTIFICATE_VERIFY_FAILED:
        return TLS_TROUBLE_CERTIFICATE;
    case SSL_R_UNEXPECTED_EOF_WHILE_READING:
        return TLS_TROUBLE_CLOSED;
    case SSL_R_CALLBACK_FAILED: /* of the ClientHello */
        return session->front != NULL && !session->name_is_known ? TLS_TROUBLE_NAME
                                                                 : TLS_TROUBLE_OTHER;
    default:
        return TLS_TROUBLE_OTHER;
    }
}

static enum tls_verdict fail(struct tls_session *session, int number)
{
    long verify = SSL_get_verify_result(session->ssl);
    unsigned long code = ERR_peek_error();
    char words[TLS_ERROR_TEXT_MAX];
    session->is_broken = true;
    session->trouble = trouble_of(session, code);
    if (session->why == NULL) {
        session->why = mem_alloc(TLS_CLIENT_WHY_MAX);
    }
    tls_error_take(number, words);
    tls_client_explain(session->ssl, code, words, session->why);
    if (verify != X509_V_OK && session->front != NULL) {
        (void)snprintf(session->why, TLS_CLIENT_WHY_MAX, "the certificate of the peer: %s",
                       X509_verify_cert_error_string(verify));
    } else if (session->trouble == TLS_TROUBLE_NAME) {
        (void)snprintf(session->why, TLS_CLIENT_WHY_MAX, "%s",
                       session->has_name ? "the name that the client asks for is not known here"
                                         : "the client does not say which name it asks for");
    }
    return TLS_FAILED;
}

static enum tls_verdict judge(struct tls_session *session, int result, int number)
{
    if (session->wire.error != 0) {
        return fail(session, session->wire.error);
    }
    switch (SSL_get_error(session->ssl, result)) {
    case SSL_ERROR_NONE:
        return TLS_DONE;
    case SSL_ERROR_WANT_READ:
        return TLS_WANT_READ;
    case SSL_ERROR_WANT_WRITE:
        return TLS_WANT_WRITE;
    case SSL_ERROR_ZERO_RETURN:
        return TLS_END;
    default:
        return fail(session, number);
    }
}

static void begin_call(void)
{
    tls_error_clear();
    errno = 0;
}

/* DONE: nothing is late. */
static enum tls_verdict flush(struct tls_session *session)
{
    tls_wire_flush(&session->wire);
    if (session->wire.error != 0) {
        tls_error_clear();
        return fail(session, session->wire.error);
    }
    return tls_wire_is_late(&session->wire) ? TLS_WANT_WRITE : TLS_DONE;
}

/* -- steps -- */

/* Tickets of TLS 1.3 are nothing that the client waits for: they go along with what comes next. */
static bool may_hold(const struct tls_session *session)
{
    return session->front != NULL && SSL_version(session->ssl) == TLS1_3_VERSION &&
           tls_wire_corked(&session->wire) <= HOLD_MAX;
}

enum tls_verdict tls_session_handshake(struct tls_session *session)
{
    enum tls_verdict verdict = session->is_broken ? TLS_FAILED : flush(session);
    if (verdict != TLS_DONE) {
        return verdict;
    }
    begin_call();
    tls_wire_look(&session->wire);
    tls_wire_cork(&session->wire);
    int result = SSL_do_handshake(session->ssl);
    int number = errno;
    if (result == 1 && may_hold(session)) {
        tls_wire_hold(&session->wire);
    } else {
        tls_wire_uncork(&session->wire);
    }
    verdict = judge(session, result, number);
    if (verdict == TLS_END) {
        return fail(session, ECONNRESET);
    }
    if (verdict == TLS_DONE) {
        tls_client_settle(session->ssl);
    }
    return verdict == TLS_WANT_READ && tls_wire_is_late(&session->wire) ? TLS_WANT_WRITE : verdict;
}

bool tls_session_is_open(const struct tls_session *session)
{
    return SSL_is_init_finished(session->ssl) == 1;
}

enum tls_verdict tls_session_read(struct tls_session *session, void *out, size_t len, size_t *got)
{
    enum tls_verdict verdict = TLS_DONE;
    *got = 0;
    if (session->is_broken) {
        return TLS_FAILED;
    }
    tls_wire_look(&session->wire);
    while (*got < len && verdict == TLS_DONE) {
        size_t n = 0;
        if (session->wire.late_len > LATE_MAX) {
            verdict = flush(session);
            if (verdict != TLS_DONE) {
                break;
            }
        }
        begin_call();
        int result = SSL_read_ex(session->ssl, (char *)out + *got, len - *got, &n);
        verdict = result == 1 ? TLS_DONE : judge(session, result, errno);
        *got += n;
    }
    session->has_ended = session->has_ended || verdict == TLS_END;
    if (*got == 0 && verdict == TLS_WANT_READ && tls_wire_is_late(&session->wire)) {
        tls_wire_flush(&session->wire); /* nothing comes that it could go along with */
    }
    return *got > 0 ? TLS_DONE : verdict;
}

/* -- writing -- */

/* What of the pieces goes into one record: those at the front, copied together unless the first is
 * enough. */
static struct iovec gather(const struct iovec *pieces, int count, size_t max, char *room)
{
    size_t len = 0;
    if (count == 1 || pieces[0].iov_len >= max) {
        return (struct iovec){.iov_base = pieces[0].iov_base,
                              .iov_len = pieces[0].iov_len < max ? pieces[0].iov_len : max};
    }
    for (int i = 0; i < count && len < max; i++) {
        size_t part = pieces[i].iov_len < max - len ? pieces[i].iov_len : max - len;
        memcpy(room + len, pieces[i].iov_base, part);
        len += part;
    }
    return (struct iovec){.iov_base = room, .iov_len = len};
}

/* The caller's pieces, and how far they are sealed. */
struct sealing {
    struct iovec pieces[TLS_SESSION_PIECES];
    int count;
    int at;
    size_t left;
};

static void advance(struct sealing *sealing, size_t len)
{
    sealing->left -= len;
    while (sealing->at < sealing->count && len >= sealing->pieces[sealing->at].iov_len) {
        len -= sealing->pieces[sealing->at].iov_len;
        sealing->at++;
    }
    if (len > 0) {
        struct iovec *piece = &sealing->pieces[sealing->at];
        piece->iov_base = (char *)piece->iov_base + len;
        piece->iov_len -= len;
    }
}

static enum tls_verdict seal_one(struct tls_session *session, struct sealing *sealing,
                                 size_t record_max)
{
    char room[TLS_SESSION_RECORD_MAX];
    size_t taken = 0;
    struct iovec part =
        gather(sealing->pieces + sealing->at, sealing->count - sealing->at, record_max, room);
    /* the only record of a call goes straight from where OpenSSL sealed it */
    if (part.iov_len < sealing->left && !session->wire.is_corked) {
        tls_wire_cork(&session->wire);
    }
    begin_call();
    int result = SSL_write_ex(session->ssl, part.iov_base, part.iov_len, &taken);
    if (result != 1) {
        return judge(session, result, errno);
    }
    advance(sealing, taken);
    return session->wire.error == 0 ? TLS_DONE : judge(session, result, 0);
}

enum tls_verdict tls_session_write_pieces(struct tls_session *session, const struct iovec *pieces,
                                          int count, size_t record_max, size_t *taken)
{
    struct sealing sealing = {.count = count};
    enum tls_verdict verdict = TLS_DONE;
    *taken = 0;
    if (session->is_broken) {
        return TLS_FAILED;
    }
    assert(count <= (int)TLS_SESSION_PIECES);
    for (int i = 0; i < count; i++) {
        sealing.pieces[i] = pieces[i];
        sealing.left += pieces[i].iov_len;
    }
    size_t total = sealing.left;
    if (tls_wire_is_late(&session->wire)) {
        if (session->wire.late_len <= HOLD_MAX && !session->owes && total > 0) {
            tls_wire_cork(&session->wire); /* a ticket that was held */
        } else if ((verdict = flush(session)) != TLS_DONE) {
            return verdict;
        }
    }
    if (session->owes && total > 0) {
        session->owes = false;
        advance(&sealing, 1);
    }
    while (sealing.left > 0 && verdict == TLS_DONE && !tls_wire_is_late(&session->wire)) {
        verdict = seal_one(session, &sealing, record_max);
        if (tls_wire_corked(&session->wire) > TLS_WIRE_BATCH - TLS_SESSION_RECORD_MAX - 512) {
            tls_wire_uncork(&session->wire);
        }
    }
    if (session->wire.is_corked) {
        tls_wire_uncork(&session->wire);
    }
    if (session->wire.error != 0 && verdict == TLS_DONE) {
        tls_error_clear();
        verdict = fail(session, session->wire.error);
    }
    *taken = total - sealing.left;
    if (tls_wire_is_late(&session->wire) && *taken > 0) {
        session->owes = true; /* so that the caller comes back */
        *taken -= 1;
        return *taken > 0 ? TLS_DONE : TLS_WANT_WRITE;
    }
    return *taken > 0 ? TLS_DONE : verdict;
}

enum tls_verdict tls_session_write(struct tls_session *session, const void *data, size_t len,
                                   size_t *taken)
{
    const struct iovec piece = {.iov_base = (void *)(uintptr_t)data, .iov_len = len};
    return tls_session_write_pieces(session, &piece, 1, TLS_SESSION_RECORD_MAX, taken);
}

enum tls_verdict tls_session_shut(struct tls_session *session)
{
    if (session->is_broken || !tls_session_is_open(session)) {
        return TLS_DONE; /* there is nothing to end */
    }
    begin_call();
    if ((SSL_get_shutdown(session->ssl) & SSL_SENT_SHUTDOWN) == 0) {
        int result = SSL_shutdown(session->ssl);
        if (result < 0) {
            return judge(session, result, errno);
        }
    }
    return flush(session);
}

/* -- what it is -- */

bool tls_session_has_ended(const struct tls_session *session)
{
    return session->has_ended || session->is_broken;
}

bool tls_session_waits_for_verdict(const struct tls_session *session)
{
    return tls_client_waits_for_verdict(session->ssl);
}

const char *tls_session_why(const struct tls_session *session)
{
    return session->why != NULL ? session->why : "";
}

bool tls_session_was_cut_off(const struct tls_session *session)
{
    return session->trouble == TLS_TROUBLE_CLOSED && BIO_eof(SSL_get_rbio(session->ssl)) == 1;
}

enum tls_trouble tls_session_trouble(const struct tls_session *session)
{
    return session->trouble;
}

struct slice tls_session_alpn(const struct tls_session *session)
{
    const unsigned char *name = NULL;
    unsigned len = 0;
    SSL_get0_alpn_selected(session->ssl, &name, &len);
    return slice_of((const char *)name, len);
}

const char *tls_session_version(const struct tls_session *session)
{
    return SSL_get_version(session->ssl);
}

bool tls_session_has_heard(const struct tls_session *session)
{
    return BIO_number_read(SSL_get_rbio(session->ssl)) > 0;
}

bool tls_session_is_resumed(const struct tls_session *session)
{
    return SSL_session_reused(session->ssl) == 1;
}

void tls_session_note_name(struct tls_session *session, struct slice name, bool is_known)
{
    session->has_name = name.len != 0;
    session->name_is_known = is_known;
    session->name_hash = hash_sip(name, hash_process_key());
}

bool tls_session_has_name(const struct tls_session *session)
{
    return session->has_name;
}

bool tls_session_knows_name(const struct tls_session *session)
{
    return session->name_is_known;
}

void tls_session_keep_peer(struct tls_session *session, bool with_certificate)
{
    struct tls_peer **kept = with_certificate ? &session->whole : &session->peer;
    if (session->whole == NULL && *kept == NULL) {
        *kept = tls_peer_new(SSL_get0_peer_certificate(session->ssl), with_certificate);
    }
}

bool tls_session_is_let_in(struct tls_session *session, const struct tls_front *front)
{
    uint64_t demand = tls_front_demand(front);
    if (LB_LIKELY(demand == session->demand)) {
        return true;
    }
    if (!tls_front_lets_in(front, session->ssl)) {
        return false;
    }
    session->demand = demand;
    return true;
}

const struct tls_peer *tls_session_peer(const struct tls_session *session)
{
    return session->whole != NULL ? session->whole : session->peer;
}

bool tls_session_is_for(const struct tls_session *session, struct slice host)
{
    return session->front == NULL || !session->has_name ||
           hash_sip(host, hash_process_key()) == session->name_hash ||
           tls_front_is_for(session->front, session->ssl, host);
}

/* -- who is there -- */

static void add_name(struct tls_names *out, const char *kind, const unsigned char *text, int len)
{
    size_t kind_len = strlen(kind);
    if (len <= 0 || out->count == TLS_NAMES_MAX ||
        out->len + kind_len + (size_t)len > sizeof(out->text)) {
        return;
    }
    for (int i = 0; i < len; i++) {
        if (text[i] < 0x20 || text[i] == 0x7F) { /* "a\0.evil" is not "a" */
            return;
        }
    }
    char *at = out->text + out->len;
    memcpy(at, kind, kind_len);
    memcpy(at + kind_len, text, (size_t)len);
    out->items[out->count++] = slice_of(at, kind_len + (size_t)len);
    out->len += kind_len + (size_t)len;
}

static void add_alternatives(struct tls_names *out, const X509 *certificate)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        int type = 0;
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        const ASN1_STRING *value = GENERAL_NAME_get0_value(name, &type);
        const char *kind = type == GEN_DNS     ? "DNS:"
                           : type == GEN_URI   ? "URI:"
                           : type == GEN_EMAIL ? "email:"
                                               : NULL;
        if (kind != NULL) {
            add_name(out, kind, ASN1_STRING_get0_data(value), ASN1_STRING_length(value));
        }
    }
    GENERAL_NAMES_free(names);
}

static void add_common_names(struct tls_names *out, const X509 *certificate)
{
    const X509_NAME *subject = X509_get_subject_name(certificate);
    int at = -1;
    while ((at = X509_NAME_get_index_by_NID(subject, NID_commonName, at)) >= 0) {
        const ASN1_STRING *value = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at));
        unsigned char *text = NULL;
        int len = ASN1_STRING_to_UTF8(&text, value);
        add_name(out, "CN:", text, len);
        OPENSSL_free(text);
    }
}

void tls_session_peer_names(const struct tls_session *session, struct tls_names *out)
{
    X509 *certificate = SSL_get1_peer_certificate(session->ssl);
    out->is_shown = certificate != NULL;
    out->count = 0;
    out->len = 0;
    if (certificate != NULL) {
        add_alternatives(out, certificate);
        add_common_names(out, certificate);
        X509_free(certificate);
    }
    tls_error_clear();
}
