#include "ctl/cmd_top.h"

#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "ctl/aside.h"
#include "ctl/cmd_describe.h"
#include "ctl/cmd_server.h"
#include "ctl/command.h"
#include "ctl/print_table.h"
#include "ctl/screen.h"
#include "ctl/top_model.h"
#include "ctl/top_view.h"
#include "lbd/base/now.h"

enum { SCREEN_BYTES_MAX = 4 * 1024 * 1024, FOOT_MAX = 1024, STATS_TIMEOUT_MS = 3000, LARGE = 5000 };

/* What keys mean now. */
enum mode {
    MODE_ROWS,
    MODE_FILTER, /* letters go into the filter */
    MODE_ASK,    /* y does it */
    MODE_TEXT    /* a page of text */
};

struct top {
    struct ctl *ctl;
    struct top_model model;
    struct top_view_state state;
    enum mode mode;
    bool is_done;
    bool is_dirty;
    bool is_large;    /* more servers than are asked for without need */
    uint64_t next_ms; /* when to ask again */
    enum ctl_exit code;

    char selected[128]; /* the name of the selected row */
    struct buf foot;    /* the last line */
    bool foot_is_bad;
    struct buf text; /* MODE_TEXT */
    uint32_t text_first;
    enum ctl_exit (*wish)(struct ctl *ctl); /* MODE_ASK */
};

/* -- asking lbd -- */

static void set_foot(struct top *top, bool is_bad, struct slice text)
{
    buf_clear(&top->foot);
    buf_append_slice(&top->foot, text);
    top->foot_is_bad = is_bad;
    top->is_dirty = true;
}

/* All kinds at once, so that another view is there at once; of very many servers only those that
 * are looked at. */
static struct json *ask_stats(struct top *top, struct ctl *ctl, enum ctl_exit *code)
{
    struct buf target;
    buf_init(&target, CTL_PATH_MAX);
    buf_append_text(&target, "/v1/stats?scope=process%2C");
    buf_append_text(&target, top->is_large ? top_view_words[top->model.view]
                                           : "listeners%2Croutes%2Cpools%2Cservers");
    struct json *stats = ctl_get(ctl, target.data, NULL, code);
    if (json_count(ctl_member(stats, "servers")) > LARGE) {
        top->is_large = true;
    }
    buf_fini(&target);
    return stats;
}

static void refresh(struct top *top)
{
    struct aside aside;
    enum ctl_exit code = CTL_OK;
    aside_open(&aside, top->ctl);
    aside.ctl.timeout_ms = STATS_TIMEOUT_MS;
    struct json *stats = ask_stats(top, &aside.ctl, &code);
    aside_end(&aside);
    if (stats != NULL) {
        top_model_feed(&top->model, stats);
        uint32_t row = top_model_find(&top->model, slice_from(top->selected));
        if (row != UINT32_MAX) {
            top->state.selected = row;
        }
        if (top->foot_is_bad) { /* it is here again */
            set_foot(top, false, SLICE_NONE);
        }
    } else {
        set_foot(top, true, aside_line(aside.err));
    }
    aside_fini(&aside);
    top->next_ms = now_ms() + CMD_TOP_INTERVAL_MS;
    top->is_dirty = true;
}

/* -- what is selected -- */

static void remember(struct top *top)
{
    struct slice name = SLICE_NONE;
    if (top->state.selected < top->model.count) {
        name = top->model.rows[top->state.selected].name;
    }
    (void)snprintf(top->selected, sizeof(top->selected), "%.*s", SLICE_ARG(name));
}

static void select_row(struct top *top, int64_t row)
{
    int64_t last = (int64_t)top->model.count - 1;
    row = row > last ? last : row;
    top->state.selected = row < 0 ? 0 : (uint32_t)row;
    remember(top);
    top->is_dirty = true;
}

static void arrange(struct top *top)
{
    top_model_arrange(&top->model);
    uint32_t row = top_model_find(&top->model, slice_from(top->selected));
    select_row(top, row != UINT32_MAX ? (int64_t)row : 0);
}

static void change_view(struct top *top, unsigned view)
{
    top->model.view = (enum top_view)(view % TOP_VIEW_COUNT);
    top->model.filter[0] = '\0';
    top->selected[0] = '\0';
    top->state.first = 0;
    top_model_arrange(&top->model);
    if (top->is_large) {
        refresh(top);
    }
    select_row(top, 0);
    set_foot(top, false, SLICE_NONE);
}

static void change_sort(struct top *top, enum top_sort sort)
{
    top->model.sort = sort;
    top_model_arrange(&top->model);
    top->state.first = 0;
    select_row(top, 0); /* who is on top is what was asked for */
}

/* -- describe, drain, enable -- */

static void describe(struct top *top)
{
    struct aside aside;
    struct kind_target target;
    enum ctl_exit code = CTL_OK;
    if (top->selected[0] == '\0') {
        return;
    }
    aside_open(&aside, top->ctl);
    if (kind_target_read(&aside.ctl, top_view_words[top->model.view], top->selected, &target,
                         &code)) {
        code = cmd_describe_target(&aside.ctl, &target);
    }
    kind_target_fini(&target);
    aside_end(&aside);
    if (code == CTL_OK) {
        buf_clear(&top->text);
        buf_append(&top->text, aside.out, aside.out_len);
        top->text_first = 0;
        top->mode = MODE_TEXT;
        set_foot(top, false, SLICE("q back  Up Down PgUp PgDn"));
    } else {
        set_foot(top, true, aside_line(aside.err));
    }
    aside_fini(&aside);
}

static bool is_in_use(const struct json *server)
{
    return slice_eq(ctl_text(server, "health"), SLICE("up")) &&
           slice_eq(ctl_text(server, "admin"), SLICE("ready"));
}

/* Is the selected server the only one of its pool that receives requests? */
static bool is_last_of_pool(const struct top *top)
{
    struct slice name = slice_from(top->selected);
    size_t slash = slice_find(name, '/');
    const struct json *server;
    bool is_used = false;
    if (slash == SIZE_MAX) {
        return false;
    }
    json_for_each(server, ctl_member(top->model.now, "servers"))
    {
        bool is_this = slice_eq(json_key(server), name);
        if (slice_starts(json_key(server), slice_of(name.ptr, slash + 1)) && is_in_use(server)) {
            if (!is_this) {
                return false;
            }
            is_used = true;
        }
    }
    return is_used;
}

static void ask(struct top *top, const char *word, enum ctl_exit (*wish)(struct ctl *ctl))
{
    struct buf question;
    if (top->model.view != TOP_SERVERS) {
        set_foot(top, true, SLICE("servers can be drained and enabled: press 2"));
        return;
    }
    if (top->selected[0] == '\0') {
        return;
    }
    buf_init(&question, FOOT_MAX);
    bool is_last = wish == cmd_server_drain && is_last_of_pool(top);
    buf_printf(&question, "%s %s%s? [y/N]", word, top->selected,
               is_last ? ", the last one of its pool that receives requests" : "");
    set_foot(top, false, buf_slice(&question));
    buf_fini(&question);
    top->wish = wish;
    top->mode = MODE_ASK;
}

static void do_wish(struct top *top)
{
    struct aside aside;
    aside_open(&aside, top->ctl);
    aside.ctl.args[0] = top->selected;
    aside.ctl.arg_count = 1;
    aside.ctl.yes = true; /* we have asked */
    enum ctl_exit code = top->wish(&aside.ctl);
    aside_end(&aside);
    set_foot(top, code != CTL_OK, aside_line(code == CTL_OK ? aside.out : aside.err));
    aside_fini(&aside);
    top->next_ms = 0;
}

/* -- keys -- */

static void show_filter(struct top *top)
{
    struct buf line;
    buf_init(&line, FOOT_MAX);
    buf_printf(&line, "filter: %s_  (Enter keeps it, Esc clears it)", top->model.filter);
    set_foot(top, false, buf_slice(&line));
    buf_fini(&line);
    arrange(top);
}

static void on_filter_key(struct top *top, struct screen_input input)
{
    size_t len = strlen(top->model.filter);
    switch (input.key) {
    case SCREEN_LETTER:
        if (len < TOP_FILTER_MAX) {
            top->model.filter[len] = input.letter;
            top->model.filter[len + 1] = '\0';
        }
        break;
    case SCREEN_BACKSPACE:
        top->model.filter[len != 0 ? len - 1 : 0] = '\0';
        break;
    case SCREEN_ESCAPE:
        top->model.filter[0] = '\0';
        top->mode = MODE_ROWS;
        break;
    case SCREEN_ENTER:
        top->mode = MODE_ROWS;
        break;
    default:
        return;
    }
    show_filter(top);
    if (top->mode == MODE_ROWS) {
        set_foot(top, false, SLICE_NONE);
    }
}

static void on_text_key(struct top *top, struct screen_input input)
{
    uint32_t page = top->state.height > 2 ? top->state.height - 2 : 1;
    int64_t first = top->text_first;
    switch (input.key) {
    case SCREEN_UP:
        first--;
        break;
    case SCREEN_DOWN:
        first++;
        break;
    case SCREEN_PAGE_UP:
        first -= page;
        break;
    case SCREEN_PAGE_DOWN:
        first += page;
        break;
    case SCREEN_HOME:
        first = 0;
        break;
    case SCREEN_END:
        first = INT32_MAX; /* draw knows where the end is */
        break;
    case SCREEN_LETTER:
        if (input.letter != 'q') {
            return;
        }
        top->mode = MODE_ROWS;
        break;
    case SCREEN_ENTER:
    case SCREEN_ESCAPE:
        top->mode = MODE_ROWS;
        break;
    default:
        return;
    }
    top->text_first = first < 0 ? 0 : (uint32_t)first;
    top->is_dirty = true;
    if (top->mode == MODE_ROWS) {
        set_foot(top, false, SLICE_NONE);
    }
}

static void on_letter(struct top *top, char letter)
{
    switch (letter) {
    case 'q':
        top->is_done = true;
        return;
    case 'c':
        change_sort(top, TOP_BY_CONNECTIONS);
        return;
    case 'r':
        change_sort(top, TOP_BY_RATE);
        return;
    case 'e':
        change_sort(top, TOP_BY_ERRORS);
        return;
    case 'l':
        change_sort(top, TOP_BY_LATENCY);
        return;
    case 'n':
        change_sort(top, TOP_BY_NAME);
        return;
    case '/':
        top->mode = MODE_FILTER;
        show_filter(top);
        return;
    case 'd':
        ask(top, "drain", cmd_server_drain);
        return;
    case 'E':
        ask(top, "enable", cmd_server_enable);
        return;
    case 'k':
        select_row(top, (int64_t)top->state.selected - 1);
        return;
    case 'j':
        select_row(top, (int64_t)top->state.selected + 1);
        return;
    default:
        break;
    }
    if (letter >= '1' && letter < '1' + TOP_VIEW_COUNT) {
        change_view(top, (unsigned)(letter - '1'));
    }
}

static void on_row_key(struct top *top, struct screen_input input)
{
    uint32_t others = TOP_VIEW_HEAD_LINES + TOP_VIEW_FOOT_LINES;
    int64_t page = top->state.height > others ? (int64_t)(top->state.height - others) : 1;
    int64_t row = top->state.selected;
    switch (input.key) {
    case SCREEN_LETTER:
        on_letter(top, input.letter);
        return;
    case SCREEN_UP:
        select_row(top, row - 1);
        return;
    case SCREEN_DOWN:
        select_row(top, row + 1);
        return;
    case SCREEN_PAGE_UP:
        select_row(top, row - page);
        return;
    case SCREEN_PAGE_DOWN:
        select_row(top, row + page);
        return;
    case SCREEN_HOME:
        select_row(top, 0);
        return;
    case SCREEN_END:
        select_row(top, top->model.count);
        return;
    case SCREEN_TAB:
        change_view(top, (unsigned)top->model.view + 1);
        return;
    case SCREEN_ENTER:
        describe(top);
        return;
    case SCREEN_ESCAPE: /* takes the filter and the last message away */
        top->model.filter[0] = '\0';
        arrange(top);
        set_foot(top, false, SLICE_NONE);
        return;
    case SCREEN_NOTHING:
    case SCREEN_BACKSPACE:
    case SCREEN_GONE:
        return;
    }
}

static void on_key(struct top *top, struct screen_input input)
{
    if (input.key == SCREEN_GONE) {
        top->is_done = true;
        return;
    }
    if (input.key == SCREEN_NOTHING) {
        return;
    }
    switch (top->mode) {
    case MODE_FILTER:
        on_filter_key(top, input);
        return;
    case MODE_TEXT:
        on_text_key(top, input);
        return;
    case MODE_ASK:
        top->mode = MODE_ROWS;
        if (input.key == SCREEN_LETTER && (input.letter == 'y' || input.letter == 'Y')) {
            do_wish(top);
        } else {
            set_foot(top, false, SLICE("nothing was changed"));
        }
        return;
    case MODE_ROWS:
        if (!top->foot_is_bad && top->foot.len != 0) { /* the last message was seen */
            set_foot(top, false, SLICE_NONE);
        }
        on_row_key(top, input);
        return;
    }
}

/* -- the loop -- */

static void draw(struct top *top)
{
    struct buf bytes;
    buf_init(&bytes, SCREEN_BYTES_MAX);
    top->state.foot = buf_slice(&top->foot);
    top->state.foot_is_bad = top->foot_is_bad;
    if (top->mode == MODE_TEXT) {
        struct slice text = buf_slice(&top->text);
        uint32_t lines = top_view_draw_text(text, top->text_first, &top->state, &bytes);
        uint32_t last = lines > top->state.height - 1 ? lines - (top->state.height - 1) : 0;
        if (top->text_first > last) {
            top->text_first = last;
            buf_clear(&bytes);
            (void)top_view_draw_text(text, top->text_first, &top->state, &bytes);
        }
    } else {
        top_view_draw(&top->model, &top->state, &bytes);
        remember(top);
    }
    screen_write(buf_slice(&bytes));
    buf_fini(&bytes);
    top->is_dirty = false;
}

/* A new size clears what the terminal made of the old picture. */
static void look_at_size(struct top *top)
{
    uint32_t width;
    uint32_t height;
    screen_size(&width, &height);
    if (width != top->state.width || height != top->state.height) {
        top->state.width = width;
        top->state.height = height;
        screen_write(SLICE("\033[2J"));
        top->is_dirty = true;
    }
}

static void live(struct top *top)
{
    while (!top->is_done) {
        if (now_ms() >= top->next_ms) {
            refresh(top);
        }
        look_at_size(top);
        if (top->is_dirty) {
            draw(top);
        }
        uint64_t now = now_ms();
        on_key(top, screen_read(top->next_ms > now ? (uint32_t)(top->next_ms - now) : 0));
    }
}

static enum ctl_exit run_live(struct ctl *ctl, struct top *top)
{
    struct err err = {.kind = ERR_NONE};
    enum ctl_exit code = CTL_OK;
    struct json *stats = ask_stats(top, ctl, &code); /* complaints before the screen is taken */
    if (stats == NULL) {
        return code;
    }
    top_model_feed(&top->model, stats);
    if (!screen_open(&err)) {
        return ctl_fail(ctl, CTL_USAGE, "%s", err.text);
    }
    top->state.color = ctl->color;
    top->next_ms = now_ms() + CMD_TOP_INTERVAL_MS;
    select_row(top, 0);
    live(top);
    screen_close();
    return CTL_OK;
}

static enum ctl_exit run_once(struct ctl *ctl, struct top *top)
{
    enum ctl_exit code = CTL_OK;
    for (int i = 0; i < 2; i++) {
        struct json *stats = ask_stats(top, ctl, &code);
        if (stats == NULL) {
            return code;
        }
        top_model_feed(&top->model, stats);
        if (i == 0) {
            (void)poll(NULL, 0, CMD_TOP_INTERVAL_MS);
        }
    }
    if (ctl_wants_json(ctl)) {
        struct buf text;
        struct json_write w;
        buf_init(&text, CTL_TEXT_MAX);
        json_write_init(&w, &text, ctl->output == CTL_JSONL ? JSON_COMPACT : JSON_PRETTY);
        top_view_write_json(&top->model, &w);
        buf_append_char(&text, '\n');
        print_json(ctl->out, buf_slice(&text));
        buf_fini(&text);
    } else {
        top_view_print(&top->model, ctl);
    }
    return CTL_OK;
}

enum ctl_exit cmd_top(struct ctl *ctl)
{
    struct top top = {.ctl = ctl};
    unsigned view = TOP_POOLS;
    if (ctl->arg_count != 0) {
        while (view < TOP_VIEW_COUNT && strcmp(top_view_words[view], ctl->args[0]) != 0) {
            view++;
        }
    }
    if (view == TOP_VIEW_COUNT) {
        return ctl_fail(ctl, CTL_USAGE, "pools, servers, listeners or routes, not '%s'",
                        ctl->args[0]);
    }
    top_model_init(&top.model, (enum top_view)view);
    buf_init(&top.foot, FOOT_MAX);
    buf_init(&top.text, CTL_TEXT_MAX);
    bool is_live =
        !ctl->once && !ctl_wants_json(ctl) && ctl->out == stdout && isatty(STDOUT_FILENO) == 1;
    enum ctl_exit code = is_live ? run_live(ctl, &top) : run_once(ctl, &top);
    buf_fini(&top.text);
    buf_fini(&top.foot);
    top_model_fini(&top.model);
    return code;
}
