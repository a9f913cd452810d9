/*
 * list - intrusive doubly linked list.
 *
 *     struct list_node lives in the object; a head is a node that stands for no object.
 *
 * Threads: one owner.
 */
#ifndef LBD_BASE_LIST_H
#define LBD_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "lbd/base/compiler.h"

struct list_node {
    struct list_node *prev;
    struct list_node *next;
};

static inline void list_init(struct list_node *head)
{
    head->prev = head;
    head->next = head;
}

static inline bool list_is_empty(const struct list_node *head)
{
    return head->next == head;
}

/* A node that is in no list points to nothing or to itself. */
static inline bool list_is_linked(const struct list_node *node)
{
    return node->next != NULL && node->next != node;
}

static inline void list_insert_after(struct list_node *where, struct list_node *node)
{
    node->prev = where;
    node->next = where->next;
    where->next->prev = node;
    where->next = node;
}

static inline void list_push_front(struct list_node *head, struct list_node *node)
{
    list_insert_after(head, node);
}

static inline void list_push_back(struct list_node *head, struct list_node *node)
{
    list_insert_after(head->prev, node);
}

/* Safe on a node that is in no list. */
static inline void list_remove(struct list_node *node)
{
    if (node->next != NULL) {
        node->prev->next = node->next;
        node->next->prev = node->prev;
    }
    node->prev = NULL;
    node->next = NULL;
}

static inline struct list_node *list_first(const struct list_node *head)
{
    return head->next == head ? NULL : head->next;
}

static inline struct list_node *list_pop_front(struct list_node *head)
{
    struct list_node *node = list_first(head);
    if (node != NULL) {
        list_remove(node);
    }
    return node;
}

#define list_entry(node, type, member) container_of(node, type, member)

/* `node` is a struct list_node *; it must stay linked while its turn lasts. */
#define list_for_each(node, head)                                                                  \
    for ((node) = (head)->next; (node) != (head); (node) = (node)->next)
/* `node` may be removed in its turn. */
#define list_for_each_safe(node, following, head)                                                  \
    for ((node) = (head)->next, (following) = (node)->next; (node) != (head);                      \
         (node) = (following), (following) = (node)->next)

#endif
