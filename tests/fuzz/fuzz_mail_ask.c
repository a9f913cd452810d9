/*
 * fuzz_mail_ask - what a callback may answer: nothing of it may break, and what is taken from it
 * can be put into a line of any protocol.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lbd/http/h1_head.h"
#include "lbd/mail/mail_ask.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect_one_line(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        assert(text[i] != '\r' && text[i] != '\n' && text[i] != '\0');
    }
}

static void check(struct mail_ask_answer *answer)
{
    expect_one_line(answer->user, answer->user_len);
    expect_one_line(answer->text, answer->text_len);
    expect_one_line(answer->secret, answer->secret_len);
    expect_one_line(answer->code, strlen(answer->code));
    assert(answer->wait_s <= MAIL_ASK_WAIT_MAX_S);
    assert((answer->verdict == MAIL_ASK_BAD) == (answer->problem[0] != '\0'));
    mail_ask_answer_wipe(answer);
}

/* The first byte says how it is taken. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct h1_limits limits = {.head_bytes = 65536, .fields = 100};
    struct mail_ask ask = {.protocol = MAIL_SMTP, .has_login = true};
    struct mail_ask_answer answer;
    if (size == 0) {
        return 0;
    }
    struct slice rest = slice_of((const char *)data + 1, size - 1);
    if ((data[0] & 1U) != 0) {
        mail_ask_read_json(&answer, rest, &ask);
        check(&answer);
        return 0;
    }
    struct header list[100];
    struct message message = {.headers = {.list = list, .capacity = 100}};
    struct h1_head head;
    char *copy = malloc(rest.len + 1);
    assert(copy != NULL);
    memcpy(copy, rest.ptr, rest.len);
    h1_head_init(&head);
    ask.mechanism = (data[0] & 2U) != 0 ? MAIL_EXTERNAL : MAIL_PLAIN;
    if (h1_head_response(&head, slice_of(copy, rest.len), &limits, method_of(SLICE("GET")),
                         &message) == H1_DONE) {
        mail_ask_read_nginx(&answer, &message.headers, &ask);
        check(&answer);
    }
    free(copy);
    return 0;
}
