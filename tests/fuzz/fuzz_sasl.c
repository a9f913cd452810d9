/*
 * fuzz_sasl - any message of any mechanism: a verdict, or a login that is the same when it is
 * written and read again, and whose names end no line of any protocol.
 *
 * The first byte of an input chooses the mechanism, and whether the rest is the message itself or
 * base64 as a client sends it.
 */
#include <stdlib.h>

#include "lbd/base/mem.h"
#include "lbd/base/base64.h"
#include "lbd/mail/sasl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool is_true)
{
    if (!is_true) {
        abort();
    }
}

static enum sasl_verdict read_copy(struct mail_login *login, struct slice base64)
{
    char *copy = mem_alloc(base64.len);
    if (base64.len > 0) {
        memcpy(copy, base64.ptr, base64.len);
    }
    enum sasl_verdict verdict = sasl_read(login, SLICE("cert"), copy, base64.len);
    free(copy);
    return verdict;
}

static void expect_name(struct slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        expect((unsigned char)name.ptr[i] >= ' ' && name.ptr[i] != 0x7f);
    }
}

static void expect_same_again(const struct mail_login *login)
{
    const struct sasl_proof proof = {.mechanism = (enum mail_mechanism)login->mechanism,
                                     .authzid = mail_login_authzid(login),
                                     .user = mail_login_user(login),
                                     .secret = mail_login_secret(login)};
    struct mail_login again = {.mechanism = login->mechanism};
    struct buf text;
    buf_init(&text, SIZE_MAX);
    sasl_write(&proof, &text);
    if (text.len > MAIL_SASL_LINE_MAX) { /* names grow where they are escaped */
        buf_fini(&text);
        return;
    }
    enum sasl_verdict verdict = read_copy(&again, buf_slice(&text));
    if (verdict == SASL_NEXT) {
        buf_clear(&text);
        sasl_write_second(&proof, &text);
        verdict = read_copy(&again, buf_slice(&text));
    }
    expect(verdict == SASL_DONE);
    expect(slice_eq(mail_login_user(&again), proof.user) || login->mechanism == MAIL_EXTERNAL);
    expect(slice_eq(mail_login_authzid(&again), proof.authzid));
    expect(slice_eq(mail_login_secret(&again), proof.secret));
    mail_login_wipe(&again);
    buf_fini(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    struct mail_login login = {.mechanism = data[0] % MAIL_MECHANISM_COUNT};
    struct slice bytes = slice_of((const char *)data + 1, size - 1);
    struct buf text;
    buf_init(&text, SIZE_MAX);
    if ((data[0] & 0x80U) == 0) {
        base64_write(bytes, &text);
    } else {
        buf_append_slice(&text, bytes);
    }
    enum sasl_verdict verdict = read_copy(&login, buf_slice(&text));
    if (verdict == SASL_NEXT) {
        verdict = read_copy(&login, buf_slice(&text));
    }
    if (verdict == SASL_DONE) {
        expect(login.user_len > 0);
        expect_name(mail_login_user(&login));
        expect_name(mail_login_authzid(&login));
        expect_same_again(&login);
    }
    mail_login_wipe(&login);
    buf_fini(&text);
    return 0;
}
