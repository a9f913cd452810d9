/*
 * head_of - a message from the text of its head, for tests that begin where the parser ended.
 *
 * The text must outlive the message. Threads: the main thread.
 */
#ifndef TESTS_UNIT_HEAD_OF_H
#define TESTS_UNIT_HEAD_OF_H

#include "lbd/http/message.h"

enum { HEAD_OF_FIELDS = 64 };

struct head_of {
    struct message message;
    struct header fields[HEAD_OF_FIELDS];
};

/* Fails the test when the parser does not like the head. */
void head_of_request(struct head_of *head, struct slice text);
void head_of_response(struct head_of *head, struct slice text);

#endif
