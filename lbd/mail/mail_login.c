/* mail_login - see mail_login.h. */
#include "lbd/mail/mail_login.h"

#include <stdlib.h>
#include <string.h>

#include "lbd/base/mem.h"
#include "lbd/base/utf8.h"

bool mail_login_is_name(struct slice name)
{
    bool is_blank = true;
    for (size_t i = 0; i < name.len; i++) {
        unsigned char c = (unsigned char)name.ptr[i];
        if (c < 0x20 || c == 0x7f) {
            return false;
        }
        is_blank = is_blank && c == ' ';
    }
    return !is_blank && name.len <= MAIL_USER_MAX && utf8_first_invalid(name) == SIZE_MAX;
}

bool mail_login_set_user(struct mail_login *login, struct slice user)
{
    if (!mail_login_is_name(user)) {
        return false;
    }
    memcpy(login->user, user.ptr, user.len);
    login->user_len = (uint16_t)user.len;
    return true;
}

bool mail_login_set_authzid(struct mail_login *login, struct slice authzid)
{
    if (!mail_login_is_name(authzid)) {
        return false;
    }
    memcpy(login->authzid, authzid.ptr, authzid.len);
    login->authzid_len = (uint16_t)authzid.len;
    login->has_authzid = true;
    return true;
}

static void wipe_secret(struct mail_login *login)
{
    if (login->long_secret != NULL) {
        mem_wipe(login->long_secret, login->secret_len);
        free(login->long_secret);
        login->long_secret = NULL;
    }
    mem_wipe(login->secret, sizeof(login->secret));
    login->secret_len = 0;
}

bool mail_login_set_secret(struct mail_login *login, struct slice secret, size_t max)
{
    if (secret.len > max) {
        return false;
    }
    wipe_secret(login);
    char *to = login->secret;
    if (secret.len > sizeof(login->secret)) {
        login->long_secret = mem_alloc(secret.len);
        to = login->long_secret;
    }
    if (secret.len > 0) {
        memcpy(to, secret.ptr, secret.len);
    }
    login->secret_len = (uint32_t)secret.len;
    return true;
}

void mail_login_wipe(struct mail_login *login)
{
    wipe_secret(login);
    memset(login, 0, sizeof(*login));
}
