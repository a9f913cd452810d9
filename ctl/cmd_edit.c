#include "ctl/cmd_edit.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "conf/json/json_locate.h"
#include "conf/json/json_patch.h"
#include "conf/json/json_write.h"
#include "ctl/cmd_apply.h"
#include "ctl/kind.h"
#include "ctl/print_table.h"
#include "ctl/proposal.h"
#include "ctl/text_file.h"

enum { PATH_BYTES = 4096, ROUNDS_MAX = 50, NOTES_MAX = REFUSAL_ENTRIES_MAX };

static const char note_mark[] = "// error: ";
static const char help_mark[] = "// lbctl: ";

/* What happened to one text that came from the editor. */
enum outcome { DONE, AGAIN, GIVEN_UP };

struct edit {
    struct ctl *ctl;
    struct kind_target target;
    struct json *base; /* what lbd had when the person saw it */
    char etag[REST_REPLY_ETAG_MAX];
    uint64_t revision;
    struct buf directory;
    struct buf path;          /* of the file */
    struct buf written;       /* what the person was shown */
    struct buf text;          /* what came back */
    struct rest_reply answer; /* the last refusal */
    bool is_untold;           /* its errors are in the file only */
    enum ctl_exit code;
};

/* -- the text -- */

static bool is_marked(struct slice line, const char *mark)
{
    return slice_starts(slice_trim(line), slice_from(mark));
}

static void append_note(struct buf *out, struct slice line, const char *text)
{
    for (size_t i = 0; i < line.len && (line.ptr[i] == ' ' || line.ptr[i] == '\t'); i++) {
        buf_append_char(out, line.ptr[i]);
    }
    buf_append_text(out, note_mark);
    for (; *text != '\0'; text++) { /* one line, whatever it says */
        buf_append_char(out, (unsigned char)*text < ' ' ? ' ' : *text);
    }
    buf_append_char(out, '\n');
}

void cmd_edit_annotate(struct slice text, const struct cmd_edit_note *notes, uint32_t count,
                       struct buf *out)
{
    uint32_t number = 0;
    uint32_t next = 0;
    struct slice line;
    for (; next < count && notes[next].line == 0; next++) {
        append_note(out, SLICE_NONE, notes[next].text);
    }
    while (slice_split(&text, '\n', &line)) {
        number++;
        for (; next < count && notes[next].line <= number; next++) {
            append_note(out, line, notes[next].text);
        }
        if (!is_marked(line, note_mark)) {
            buf_append_slice(out, line);
            buf_append_text(out, text.ptr != NULL ? "\n" : "");
        }
    }
}

static void compose(struct edit *edit, const struct json *json)
{
    struct json_write w;
    buf_clear(&edit->text);
    buf_printf(&edit->text,
               "%s%s, as lbd runs it. Save and leave to apply it.\n"
               "%sLeave it as it is, or empty, to change nothing.\n",
               help_mark, edit->target.name.data, help_mark);
    json_write_init(&w, &edit->text, JSON_PRETTY);
    json_write_json(&w, json);
    buf_append_char(&edit->text, '\n');
}

/* Shows the text with notes the next time. */
static void annotate(struct edit *edit, const struct cmd_edit_note *notes, uint32_t count)
{
    struct buf noted;
    text_file_init(&noted);
    cmd_edit_annotate(buf_slice(&edit->text), notes, count, &noted);
    buf_fini(&edit->text);
    edit->text = noted;
}

/* Nothing but space and comments? */
static bool is_empty(struct slice text)
{
    struct slice line;
    while (slice_split(&text, '\n', &line)) {
        line = slice_trim(line);
        if (line.len != 0 && !slice_starts(line, SLICE("//"))) {
            return false;
        }
    }
    return true;
}

/* -- the file and the editor -- */

static bool make_file(struct edit *edit)
{
    const char *temporary = getenv("TMPDIR");
    bool is_absolute = temporary != NULL && temporary[0] == '/';
    buf_printf(&edit->directory, "%s/lbctl-edit-XXXXXX", is_absolute ? temporary : "/tmp");
    if (edit->directory.overflow || mkdtemp(edit->directory.data) == NULL) {
        edit->code = ctl_fail(edit->ctl, CTL_USAGE, "cannot make %s: %s",
                              edit->directory.data != NULL ? edit->directory.data : "a directory",
                              strerror(errno));
        buf_clear(&edit->directory);
        return false;
    }
    buf_append_slice(&edit->path, buf_slice(&edit->directory));
    buf_append_char(&edit->path, '/');
    struct slice name = buf_slice(&edit->target.name);
    if (edit->target.kind->id == KIND_CONFIG) {
        name = SLICE("config");
    }
    for (size_t i = 0; i < name.len; i++) {
        buf_append_char(&edit->path, name.ptr[i] == '/' ? '-' : name.ptr[i]);
    }
    buf_append_text(&edit->path, ".jsonc");
    return true;
}

static void remove_file(struct edit *edit)
{
    if (edit->path.len != 0) {
        (void)unlink(edit->path.data);
    }
    if (edit->directory.len != 0) {
        (void)rmdir(edit->directory.data);
    }
}

static const char *editor(void)
{
    static const char *const variables[] = {"VISUAL", "EDITOR"};
    for (size_t i = 0; i < ARRAY_LEN(variables); i++) {
        const char *value = getenv(variables[i]);
        if (value != NULL && value[0] != '\0') {
            return value;
        }
    }
    return "vi";
}

/* Runs the editor as a shell would: it may have options. Ctrl-C is the editor's then. */
static bool run_editor(struct edit *edit)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    struct sigaction interrupt;
    struct sigaction quit;
    struct buf line;
    int status = -1;
    buf_init(&line, PATH_BYTES);
    buf_printf(&line, "%s \"$@\"", editor());
    (void)fflush(edit->ctl->out);
    (void)fflush(edit->ctl->err);
    (void)sigaction(SIGINT, &ignore, &interrupt);
    (void)sigaction(SIGQUIT, &ignore, &quit);
    pid_t child = line.overflow ? -1 : fork();
    if (child == 0) {
        (void)sigaction(SIGINT, &interrupt, NULL);
        (void)sigaction(SIGQUIT, &quit, NULL);
        (void)signal(SIGPIPE, SIG_DFL);
        (void)execl("/bin/sh", "sh", "-c", line.data, editor(), edit->path.data, (char *)NULL);
        _exit(127);
    }
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    (void)sigaction(SIGINT, &interrupt, NULL);
    (void)sigaction(SIGQUIT, &quit, NULL);
    buf_fini(&line);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        edit->code = ctl_fail(edit->ctl, CTL_USAGE,
                              "the editor '%s' ended badly; nothing was changed", editor());
        return false;
    }
    return true;
}

/* Shows edit->text, and reads into it what the person made of it. */
static bool show(struct edit *edit)
{
    struct err err = {.kind = ERR_NONE};
    buf_clear(&edit->written);
    buf_append_slice(&edit->written, buf_slice(&edit->text));
    if (!text_file_replace(edit->path.data, buf_slice(&edit->text), &err)) {
        edit->code = ctl_fail(edit->ctl, CTL_USAGE, "%s", err.text);
        return false;
    }
    if (!run_editor(edit)) {
        return false;
    }
    buf_clear(&edit->text);
    edit->code = text_file_read(edit->ctl, edit->path.data, &edit->text);
    return edit->code == CTL_OK;
}

/* -- what came back -- */

static int compare_notes(const void *a, const void *b)
{
    const struct cmd_edit_note *left = a;
    const struct cmd_edit_note *right = b;
    return (left->line > right->line) - (left->line < right->line);
}

/* Puts the errors of the last refusal at their lines. */
static enum outcome show_errors(struct edit *edit, const struct refusal_source *source)
{
    struct refusal_entry entries[REFUSAL_ENTRIES_MAX];
    struct cmd_edit_note notes[NOTES_MAX];
    struct buf texts[NOTES_MAX];
    struct json *problem = ctl_body(&edit->answer);
    uint32_t count = refusal_read(json_get(problem, SLICE("errors")), source, entries);
    if (count == 0) { /* nothing that an editor could help with */
        edit->code = refusal_print(edit->ctl, &edit->answer, source);
        json_free(problem);
        return GIVEN_UP;
    }
    for (uint32_t i = 0; i < count; i++) {
        buf_init(&texts[i], CTL_PATH_MAX);
        buf_printf(&texts[i], "%.*s: ", SLICE_ARG(entries[i].pointer));
        refusal_append(&texts[i], &entries[i]);
        notes[i] = (struct cmd_edit_note){.line = entries[i].line,
                                          .text = texts[i].data != NULL ? texts[i].data : ""};
    }
    qsort(notes, count, sizeof(notes[0]), compare_notes);
    annotate(edit, notes, count);
    edit->is_untold = true;
    for (uint32_t i = 0; i < count; i++) {
        buf_fini(&texts[i]);
    }
    json_free(problem);
    return AGAIN;
}

static bool fetch(struct edit *edit)
{
    struct rest_reply reply;
    rest_reply_init(&reply);
    json_free(edit->base);
    edit->base = ctl_get(edit->ctl, edit->target.path.data, &reply, &edit->code);
    memcpy(edit->etag, reply.etag, sizeof(edit->etag));
    edit->revision = reply.revision;
    rest_reply_fini(&reply);
    return edit->base != NULL;
}

/* Both changed the same place: shows what is there now, beside what the person wants. */
static void show_conflict(struct edit *edit, const struct json *mine, struct slice pointer)
{
    struct json_place place = {.pointer = pointer};
    struct json_write w;
    struct buf text;
    buf_init(&text, CTL_PATH_MAX);
    buf_append_text(&text, "changed meanwhile by somebody else, to: ");
    const struct json *theirs = json_patch_get(edit->base, pointer);
    if (theirs != NULL) {
        json_write_init(&w, &text, JSON_COMPACT);
        json_write_json(&w, theirs);
    } else {
        buf_append_text(&text, "(removed)");
    }
    compose(edit, mine);
    json_locate_all(buf_slice(&edit->text), &place, 1);
    const struct cmd_edit_note notes[] = {
        {.line = 0, .text = "yours is shown; delete this line and save to keep it"},
        {.line = place.line, .text = text.data}};
    annotate(edit, notes, ARRAY_LEN(notes));
    buf_fini(&text);
}

/* Somebody else was faster: what they changed and what `mine` changes, put together. */
static enum outcome merge(struct edit *edit, struct json **mine)
{
    struct buf pointer;
    struct json *before = edit->base;
    edit->base = NULL;
    if (!fetch(edit)) {
        json_free(before);
        return GIVEN_UP;
    }
    struct json *my_patch = json_patch_make(before, *mine);
    struct json *their_patch = json_patch_make(before, edit->base);
    buf_init(&pointer, CTL_PATH_MAX);
    bool overlaps = json_patch_overlap(my_patch, their_patch, &pointer);
    json_free(*mine);
    *mine = json_patch_merge(json_copy(edit->base), my_patch);
    if (overlaps) {
        show_conflict(edit, *mine, buf_slice(&pointer));
        edit->code = CTL_CONFLICT;
    } else {
        (void)fputs("somebody else changed it meanwhile, at other places: both are kept\n",
                    edit->ctl->err);
    }
    buf_fini(&pointer);
    json_free(their_patch);
    json_free(my_patch);
    json_free(before);
    return overlaps ? AGAIN : DONE;
}

static void write_root(const struct edit *edit, struct buf *root)
{
    if (edit->target.pointer.len != 0) {
        buf_append_char(root, '/');
        buf_append_slice(root, buf_slice(&edit->target.pointer));
    }
}

/* Sends `json` once. */
static enum outcome send_once(struct edit *edit, const struct json *json, bool *was_overtaken)
{
    struct ctl *ctl = edit->ctl;
    struct proposal proposal;
    struct json_write w;
    struct buf body;
    struct buf root;
    buf_init(&body, CTL_TEXT_MAX);
    buf_init(&root, CTL_PATH_MAX);
    write_root(edit, &root);
    json_write_init(&w, &body, JSON_COMPACT);
    json_write_json(&w, json);
    const struct refusal_source source = {
        .name = edit->path.data, .text = buf_slice(&edit->text), .root = buf_slice(&root)};
    proposal_init(&proposal, ctl, "PUT", edit->target.path.data);
    proposal.body = buf_slice(&body);
    proposal.etag = edit->etag;
    proposal.source = &source;
    proposal.revision_before = edit->revision;
    proposal.refusal = &edit->answer;
    rest_reply_clear(&edit->answer);
    edit->code = proposal_rehearse(&proposal);
    if (edit->code == CTL_OK && !ctl->dry_run && edit->target.kind->id == KIND_CONFIG) {
        edit->code = cmd_apply_confirm(ctl, edit->base, json, NULL);
    }
    if (edit->code == CTL_OK) {
        edit->code = proposal_perform(&proposal);
    }
    *was_overtaken = proposal.was_overtaken;
    enum outcome outcome = edit->code == CTL_OK ? DONE : GIVEN_UP;
    if (edit->answer.status >= 300) {
        outcome = show_errors(edit, &source);
    }
    proposal_fini(&proposal);
    buf_fini(&root);
    buf_fini(&body);
    return outcome;
}

static enum outcome apply(struct edit *edit, struct json **mine)
{
    bool was_overtaken = false;
    for (uint32_t tries = 0; tries < PROPOSAL_TRIES; tries++) {
        enum outcome outcome = send_once(edit, *mine, &was_overtaken);
        if (!was_overtaken) {
            return outcome;
        }
        outcome = merge(edit, mine);
        if (outcome != DONE) {
            return outcome;
        }
    }
    edit->code = ctl_fail(edit->ctl, CTL_CONFLICT, "somebody else keeps changing it");
    return GIVEN_UP;
}

static enum outcome take_back(struct edit *edit)
{
    struct ctl *ctl = edit->ctl;
    struct json_error error;
    bool is_first = edit->answer.status == 0 && edit->code == CTL_OK;
    if (slice_eq(buf_slice(&edit->text), buf_slice(&edit->written)) ||
        is_empty(buf_slice(&edit->text))) {
        if (is_first) {
            (void)fputs("unchanged: nothing was done\n", ctl->out);
            return DONE;
        }
        return GIVEN_UP;
    }
    struct json *mine =
        json_parse(buf_slice(&edit->text), JSON_COMMENTS, &json_limits_document, &error);
    if (mine == NULL) {
        const struct cmd_edit_note note = {.line = error.line, .text = error.text};
        annotate(edit, &note, 1);
        edit->is_untold = true;
        edit->code = CTL_INVALID;
        return AGAIN;
    }
    enum outcome outcome = DONE;
    edit->is_untold = false;
    if (json_equal(mine, edit->base)) {
        (void)fputs("unchanged: nothing was done\n", ctl->out);
        edit->code = CTL_OK;
    } else {
        outcome = apply(edit, &mine);
    }
    json_free(mine);
    return outcome;
}

/* The errors that only the file has so far, for who leaves the editor without mending them. True:
 * it was said that nothing was applied. */
static bool tell(struct edit *edit)
{
    struct json_error error;
    struct buf root;
    buf_clear(&edit->written);
    if (text_file_read(edit->ctl, edit->path.data, &edit->written) != CTL_OK) {
        return false;
    }
    struct json *json =
        json_parse(buf_slice(&edit->written), JSON_COMMENTS, &json_limits_document, &error);
    if (json == NULL && !is_empty(buf_slice(&edit->written))) {
        (void)ctl_fail(edit->ctl, CTL_INVALID, "%s:%u:%u: %s", edit->path.data, error.line,
                       error.column, error.text);
        return false;
    }
    bool is_refused = edit->answer.status >= 300;
    buf_init(&root, CTL_PATH_MAX);
    write_root(edit, &root);
    const struct refusal_source source = {
        .name = edit->path.data, .text = buf_slice(&edit->written), .root = buf_slice(&root)};
    if (is_refused) {
        (void)refusal_print(edit->ctl, &edit->answer, &source);
    }
    buf_fini(&root);
    json_free(json);
    return is_refused;
}

/* Is the file as the person was shown it? */
static bool is_untouched(struct edit *edit)
{
    buf_clear(&edit->text);
    return text_file_read(edit->ctl, edit->path.data, &edit->text) == CTL_OK &&
           slice_eq(buf_slice(&edit->text), buf_slice(&edit->written));
}

/* As long as it comes back with errors, the person may go on. */
static void go_round(struct edit *edit)
{
    enum ctl_exit last = CTL_OK;
    for (uint32_t round = 1;; round++) {
        enum outcome outcome = GIVEN_UP;
        if (round > ROUNDS_MAX) { /* no person: a script that does not get it right */
            edit->code = last;
        } else if (show(edit)) {
            edit->code = last;
            outcome = take_back(edit);
        }
        if (outcome == DONE) {
            remove_file(edit);
            return;
        }
        last = edit->code;
        if (outcome == GIVEN_UP && round == 1 && is_untouched(edit)) {
            remove_file(edit); /* the editor did not get to it: there is nothing to keep */
            return;
        }
        if (outcome == GIVEN_UP) {
            bool is_said = edit->is_untold && tell(edit);
            (void)fputs(is_said ? "your text is kept in " : "not applied; your text is kept in ",
                        edit->ctl->err);
            print_text(edit->ctl->err, buf_slice(&edit->path));
            (void)fputc('\n', edit->ctl->err);
            return;
        }
    }
}

enum ctl_exit cmd_edit(struct ctl *ctl)
{
    struct edit edit = {.ctl = ctl, .code = CTL_OK};
    kind_split_pointer(ctl);
    const char *name = ctl->arg_count > 1 ? ctl->args[1] : NULL;
    buf_init(&edit.directory, PATH_BYTES);
    buf_init(&edit.path, PATH_BYTES);
    text_file_init(&edit.written);
    text_file_init(&edit.text);
    rest_reply_init(&edit.answer);
    if (kind_target_read(ctl, ctl->args[0], name, &edit.target, &edit.code) && fetch(&edit) &&
        make_file(&edit)) {
        compose(&edit, edit.base);
        go_round(&edit);
    }
    json_free(edit.base);
    rest_reply_fini(&edit.answer);
    buf_fini(&edit.text);
    buf_fini(&edit.written);
    buf_fini(&edit.path);
    buf_fini(&edit.directory);
    kind_target_fini(&edit.target);
    return edit.code;
}
