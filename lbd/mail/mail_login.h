/*
 * mail_login - who a client says it is, with what proves it.
 *
 * Made by the client's dialect (mail_client), read by routing and by the server's dialect
 * (mail_server), wiped by whoever owns it: mail_login_wipe, also before every new attempt.
 *
 * What came from the client is checked here once: names are UTF-8 without control characters, so
 * that no name can end a line of another protocol (CVE-2022-27924).
 *
 * Memory: fixed, but for a long token, which is its own. Threads: one owner.
 */
#ifndef LBD_MAIL_MAIL_LOGIN_H
#define LBD_MAIL_MAIL_LOGIN_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/base/compiler.h"
#include "lbd/base/slice.h"
#include "lbd/mail/mail_protocol.h"

#define MAIL_SECRET_INLINE 128U

struct mail_login {
    uint8_t mechanism; /* enum mail_mechanism */
    bool has_authzid;
    uint16_t user_len;
    uint16_t authzid_len;
    uint32_t secret_len;
    char *long_secret;               /* owned, wiped; NULL: it lies in `secret` */
    char user[MAIL_USER_MAX];        /* authentication identity, as the client sent it */
    char authzid[MAIL_USER_MAX];     /* whom it wants to act as; empty: itself */
    char secret[MAIL_SECRET_INLINE]; /* password or token; of OAUTHBEARER all pairs behind the
                                        name, with their ^A */
};

static inline struct slice mail_login_user(const struct mail_login *login)
{
    return slice_of(login->user, login->user_len);
}
static inline struct slice mail_login_authzid(const struct mail_login *login)
{
    return slice_of(login->authzid, login->authzid_len);
}
static inline struct slice mail_login_secret(const struct mail_login *login)
{
    return slice_of(login->long_secret != NULL ? login->long_secret : login->secret,
                    login->secret_len);
}

/* Can it be a name, in any protocol that it may enter? Not if it is too long or blank, has control
 * characters or is not UTF-8. */
bool mail_login_is_name(struct slice name);
/* Each false: too long, or no name; nothing was kept. */
LB_MUST_CHECK bool mail_login_set_user(struct mail_login *login, struct slice user);
LB_MUST_CHECK bool mail_login_set_authzid(struct mail_login *login, struct slice authzid);
LB_MUST_CHECK bool mail_login_set_secret(struct mail_login *login, struct slice secret, size_t max);
/* Everything is gone from memory; the object is as new. Also one that is zeroed. */
void mail_login_wipe(struct mail_login *login);

#endif
