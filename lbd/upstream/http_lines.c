#include "lbd/upstream/http_lines.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lbd/base/mem.h"

void http_lines_init(struct http_lines *lines, struct loop *loop)
{
    *lines = (struct http_lines){.loop = loop};
    list_init(&lines->idle);
}

void http_line_free(struct http_line *line)
{
    if (line == NULL) {
        return;
    }
    if (list_is_linked(&line->link)) {
        list_remove(&line->link);
        line->lines->idle_count--;
    }
    loop_timer_stop(&line->timer);
    talk_end(&line->talk);
    tls_client_unref(line->tls);
    free(line);
}

void http_lines_fini(struct http_lines *lines)
{
    struct list_node *node = NULL;
    while (lines->loop != NULL && (node = list_first(&lines->idle)) != NULL) {
        http_line_free(list_entry(node, struct http_line, link));
    }
}

struct http_line *http_lines_take(struct http_lines *lines, const char *place,
                                  const struct tls_client *tls)
{
    struct list_node *node = NULL;
    list_for_each (node, &lines->idle) {
        struct http_line *line = list_entry(node, struct http_line, link);
        if (line->tls == tls && strcmp(line->place, place) == 0) {
            list_remove(&line->link);
            lines->idle_count--;
            lines->reused++;
            loop_timer_stop(&line->timer);
            return line;
        }
    }
    return NULL;
}

struct http_line *http_line_new(struct http_lines *lines, struct loop *loop, const char *place,
                                const struct talk_ops *ops, const struct talk_way *way,
                                size_t in_max)
{
    struct http_line *line = mem_zero(1, sizeof(*line));
    line->lines = lines;
    line->tls = way->tls != NULL ? tls_client_ref(way->tls) : NULL;
    (void)snprintf(line->place, sizeof(line->place), "%s", place);
    talk_begin(&line->talk, loop, ops, way, in_max);
    return line;
}

static void on_idle_over(struct loop_timer *timer)
{
    http_line_free(container_of(timer, struct http_line, timer));
}

void http_lines_keep(struct http_line *line)
{
    struct http_lines *lines = line->lines;
    line->call = NULL;
    line->was_used = true;
    mem_wipe(line->talk.out.data, line->talk.out.capacity);
    if (lines->idle_count >= HTTP_LINES_MAX) {
        http_line_free(list_entry(lines->idle.prev, struct http_line, link));
    }
    list_push_front(&lines->idle, &line->link);
    lines->idle_count++;
    loop_timer_set(lines->loop, &line->timer, HTTP_LINES_IDLE_MS, on_idle_over);
}
