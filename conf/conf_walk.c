#include "conf/conf_walk.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

static struct conf_walk_frame *push(struct conf_walk *walk, const struct conf_part *part)
{
    assert(walk->depth < CONF_WALK_DEPTH);
    struct conf_walk_frame *frame = &walk->frames[walk->depth++];
    *frame = (struct conf_walk_frame){.part = part, .state = CONF_WALK_OWN};
    return frame;
}

/* Names and keys need no escapes: a pointer is split at its slashes. */
static bool find(const struct conf_part *root, struct slice pointer, const struct conf_part **part,
                 const struct conf_list **list, bool *is_list)
{
    struct slice rest = pointer.len != 0 ? slice_from_at(pointer, 1) : SLICE_NONE;
    struct slice word;
    *part = root;
    *list = NULL;
    *is_list = false;
    while (rest.len != 0 && slice_split(&rest, '/', &word)) {
        if (*is_list) {
            *part = conf_part_find(*list, word);
            *is_list = false;
        } else {
            uint32_t index = 0;
            if (conf_part_map((*part)->object, word, &index) == NULL) {
                return false;
            }
            *list = (*part)->lists[index];
            *is_list = true;
        }
        if (*part == NULL) {
            return false;
        }
    }
    return true;
}

bool conf_walk_begin(struct conf_walk *walk, struct conf_document *document, struct slice pointer)
{
    const struct conf_part *part = NULL;
    const struct conf_list *list = NULL;
    bool is_list = false;
    walk->depth = 0;
    if (!find(conf_document_root(document), pointer, &part, &list, &is_list)) {
        return false;
    }
    walk->document = conf_document_ref(document);
    push(walk, is_list ? NULL : part)->list = list;
    return true;
}

void conf_walk_end(struct conf_walk *walk)
{
    conf_document_unref(walk->document);
    walk->document = NULL;
    walk->depth = 0;
}

static bool say(struct conf_walk *walk, struct slice *piece, const char *fmt, ...) LB_PRINTF(3, 4);

static bool say(struct conf_walk *walk, struct slice *piece, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(walk->glue, sizeof(walk->glue), fmt, args);
    va_end(args);
    assert(len >= 0 && (size_t)len < sizeof(walk->glue)); /* names have at most 320 bytes */
    *piece = slice_of(walk->glue, (size_t)len);
    return true;
}

/* The settings of the object itself, without the brace that closes it. */
static bool say_own(struct conf_walk *walk, struct conf_walk_frame *frame, struct slice *piece)
{
    if (frame->part == NULL) {
        frame->state = CONF_WALK_MEMBERS;
        return say(walk, piece, "{");
    }
    frame->state = CONF_WALK_LISTS;
    frame->has_any = frame->part->text.len > 2;
    *piece = slice_of(frame->part->text.ptr, frame->part->text.len - 1);
    return true;
}

/* Opens the next of its lists that was set, or closes the object. */
static bool say_list(struct conf_walk *walk, struct conf_walk_frame *frame, struct slice *piece)
{
    const struct conf_object *object = frame->part->object;
    while (frame->field < object->field_count) {
        const struct conf_field *field = &object->fields[frame->field++];
        if (field->type != CONF_TYPE_MAP) {
            continue;
        }
        frame->list = frame->part->lists[frame->index++];
        if (frame->list != NULL) {
            bool has_any = frame->has_any;
            frame->state = CONF_WALK_MEMBERS;
            frame->member = 0;
            frame->has_any = true;
            return say(walk, piece, "%s\"%s\":{", has_any ? "," : "", field->key);
        }
    }
    walk->depth--;
    return say(walk, piece, "}");
}

/* Names have no control characters: a quote and a backslash are all that JSON minds. */
static struct slice quoted(struct slice name, char out[2 * CONF_MAIL_KEY_MAX])
{
    size_t len = 0;
    for (size_t i = 0; i < name.len && len + 2 <= 2 * (size_t)CONF_MAIL_KEY_MAX; i++) {
        if (name.ptr[i] == '"' || name.ptr[i] == '\\') {
            out[len++] = '\\';
        }
        out[len++] = name.ptr[i];
    }
    return slice_of(out, len);
}

static bool say_member(struct conf_walk *walk, struct conf_walk_frame *frame, struct slice *piece)
{
    if (frame->list == NULL || frame->member == frame->list->count) {
        if (frame->part == NULL) {
            walk->depth--;
        }
        frame->state = CONF_WALK_LISTS;
        return say(walk, piece, "}");
    }
    const struct conf_part *member = frame->list->parts[frame->member];
    char name[2 * CONF_MAIL_KEY_MAX];
    (void)say(walk, piece, "%s\"%.*s\":", frame->member == 0 ? "" : ",",
              SLICE_ARG(quoted(member->name, name)));
    frame->member++;
    (void)push(walk, member);
    return true;
}

bool conf_walk_next(struct conf_walk *walk, struct slice *piece)
{
    if (walk->depth == 0) {
        return false;
    }
    struct conf_walk_frame *frame = &walk->frames[walk->depth - 1];
    switch (frame->state) {
    case CONF_WALK_OWN:
        return say_own(walk, frame, piece);
    case CONF_WALK_LISTS:
        return say_list(walk, frame, piece);
    case CONF_WALK_MEMBERS:
        break;
    }
    return say_member(walk, frame, piece);
}
