/* mail_tracked - see mail_tracked.h. */
#include "lbd/proxy/mail_tracked.h"

#include <stdlib.h>
#include <string.h>

#include "lbd/base/mem.h"
#include "lbd/base/random.h"
#include "lbd/mail/mail_client.h"

struct mail_tracked *mail_tracked_new(struct proxy_worker *proxy, struct slice capabilities,
                                      struct mail_cache_entry *entry)
{
    struct mail_tracked *tracked = mem_zero(1, sizeof(*tracked));
    imap_track_init(&tracked->track, capabilities, &proxy->imap_tracks);
    tracked->track.holds_logout = entry != NULL;
    tracked->proxy = proxy;
    tracked->entry = entry;
    return tracked;
}

static void forget_inherited(struct mail_tracked *tracked)
{
    if (tracked->inherited != NULL) {
        loop_ready_remove(&tracked->inherited->ready);
        loop_timer_stop(&tracked->inherited->patience);
        free(tracked->inherited);
        tracked->inherited = NULL;
    }
}

void mail_tracked_free(struct mail_tracked *tracked)
{
    if (tracked != NULL) {
        if (tracked->logout != NULL) {
            loop_ready_remove(&tracked->logout->ready);
            loop_timer_stop(&tracked->logout->patience);
            free(tracked->logout);
        }
        loop_ready_remove(&tracked->room);
        forget_inherited(tracked);
        imap_track_fini(&tracked->track);
        mail_cache_entry_free(tracked->entry);
        free(tracked);
    }
}

static void on_ready(struct loop_ready *ready)
{
    struct mail_tracked *tracked = container_of(ready, struct mail_tracked_logout, ready)->tracked;
    tracked->over(tracked);
}

static void on_patience(struct loop_timer *timer)
{
    struct mail_tracked *tracked =
        container_of(timer, struct mail_tracked_logout, patience)->tracked;
    tracked->over(tracked);
}

static void begin_logout(struct mail_tracked *tracked, struct slice tag)
{
    struct mail_tracked_logout *logout = mem_zero(1, sizeof(*logout));
    tracked->logout = logout;
    logout->tracked = tracked;
    logout->tag_len = tag.len;
    memcpy(logout->tag, tag.ptr, tag.len);
    loop_timer_set(tracked->proxy->loop, &logout->patience, MAIL_TRACKED_WAIT_MS, on_patience);
}

/* Of a client that said LOGOUT, or UNAUTHENTICATE: is there still something to wait for? */
static void look_for_end(struct mail_tracked *tracked)
{
    if (tracked->logout != NULL && imap_track_doubt(&tracked->track) != IMAP_TRACK_OUTSTANDING) {
        loop_ready_put(tracked->proxy->loop, &tracked->logout->ready, on_ready);
    }
}

static void on_room(struct loop_ready *ready)
{
    struct mail_tracked *tracked = container_of(ready, struct mail_tracked, room);
    tracked->go_on(tracked);
}

/* Of a client that waits for an answer: is one there? */
static void look_for_room(struct mail_tracked *tracked)
{
    if (tracked->is_full && !imap_track_is_full(&tracked->track)) {
        tracked->is_full = false;
        loop_ready_put(tracked->proxy->loop, &tracked->room, on_room);
    }
}

static void note(struct mail_tracked *tracked)
{
    if (tracked->track.news != 0 && tracked->entry != NULL) {
        mail_cache_note(tracked->proxy->mail_cache, tracked->entry, &tracked->track);
    }
}

/* -- a mailbox of the session before -- */

static void end_inheritance(struct mail_tracked *tracked, bool is_broken)
{
    if (is_broken) {
        tracked->over(tracked);
        return;
    }
    forget_inherited(tracked);
    imap_track_leave(&tracked->track);
    tracked->go_on(tracked);
}

static void on_left(struct loop_ready *ready)
{
    struct mail_tracked_inherited *inherited =
        container_of(ready, struct mail_tracked_inherited, ready);
    end_inheritance(inherited->tracked, inherited->is_broken);
}

static void on_not_left(struct loop_timer *timer)
{
    end_inheritance(container_of(timer, struct mail_tracked_inherited, patience)->tracked, true);
}

void mail_tracked_inherit(struct mail_tracked *tracked)
{
    struct mail_tracked_inherited *inherited = mem_zero(1, sizeof(*inherited));
    inherited->tracked = tracked;
    imap_park_init(&inherited->park, random_u64(&tracked->proxy->upstream->random) >> 1U);
    tracked->inherited = inherited;
    imap_track_inherit(&tracked->track);
}

/* The server talks of it. */
static void hear_of_inherited(struct mail_tracked *tracked, struct slice bytes)
{
    struct mail_tracked_inherited *inherited = tracked->inherited;
    enum imap_park_event event = imap_park_feed(&inherited->park, bytes.ptr, bytes.len);
    if (event != IMAP_PARK_MORE) {
        inherited->is_broken = event == IMAP_PARK_BROKEN;
        loop_ready_put(tracked->proxy->loop, &inherited->ready, on_left);
    }
}

static void leave_inherited(struct mail_tracked *tracked, struct mail_tracked_said *said)
{
    struct mail_tracked_inherited *inherited = tracked->inherited;
    struct slice ask = imap_park_check_in(&inherited->park, true, said->ask);
    inherited->is_asked = true;
    said->then = MAIL_TRACKED_WAITS;
    said->ask_len = ask.len;
    loop_timer_set(tracked->proxy->loop, &inherited->patience, MAIL_TRACKED_WAIT_MS, on_not_left);
}

/* -- bytes -- */

size_t mail_tracked_pass(struct mail_tracked *tracked, struct slice bytes,
                         struct mail_tracked_said *said)
{
    said->then = MAIL_TRACKED_PASSES;
    said->ask_len = 0;
    if (tracked->inherited != NULL && !imap_park_is_quiet(&tracked->inherited->park)) {
        leave_inherited(tracked, said); /* the server is in the middle of a word about it */
        return 0;
    }
    struct imap_track_said what = imap_track_client(&tracked->track, bytes.ptr, bytes.len);
    if (what.logout) {
        said->then = MAIL_TRACKED_HOLDS;
        begin_logout(tracked, what.tag);
    } else if (what.leaves_user) {
        said->then = MAIL_TRACKED_HOLDS;
        if (tracked->logout == NULL) { /* else the server's words were lost before */
            begin_logout(tracked, SLICE(""));
        }
    } else if (what.waits) {
        said->then = MAIL_TRACKED_WAITS;
        tracked->is_full = true;
    } else if (what.unselect) {
        leave_inherited(tracked, said);
    } else if (what.pass > 0) {
        forget_inherited(tracked); /* its SELECT leaves the mailbox */
    }
    note(tracked);
    look_for_end(tracked);
    return what.pass;
}

uint64_t mail_tracked_look(struct mail_tracked *tracked, struct slice bytes, size_t *drop)
{
    *drop = 0;
    if (tracked->inherited != NULL && bytes.ptr != NULL) {
        hear_of_inherited(tracked, bytes);
        *drop = bytes.len;
        return 0;
    }
    if (bytes.ptr != NULL) {
        imap_track_server(&tracked->track, bytes.ptr, bytes.len);
    } else {
        imap_track_skip(&tracked->track, bytes.len);
    }
    if (imap_track_is_lost(&tracked->track) && tracked->logout == NULL) {
        begin_logout(tracked, SLICE(""));
    }
    note(tracked);
    look_for_room(tracked);
    look_for_end(tracked);
    return imap_track_unseen(&tracked->track);
}

bool mail_tracked_is_clean(const struct mail_tracked *tracked)
{
    return tracked->entry != NULL && imap_track_doubt(&tracked->track) == IMAP_TRACK_CLEAN;
}

bool mail_tracked_park(struct mail_tracked *tracked, struct upstream_conn *conn,
                       const struct mail_seat *seat)
{
    bool is_leaving = tracked->inherited != NULL && tracked->inherited->is_asked;
    if (tracked->entry == NULL || is_leaving ||
        !mail_cache_offer(tracked->proxy->mail_cache, tracked->entry, conn, &tracked->track,
                          seat)) {
        return false;
    }
    tracked->entry = NULL;
    return true;
}

void mail_tracked_goodbye(const struct mail_tracked *tracked, enum close_reason reason,
                          struct buf *out)
{
    if (!imap_track_may_speak(&tracked->track)) {
        return;
    }
    if (tracked->logout != NULL && tracked->logout->tag_len == 0) {
        (void)buf_append_text(out, imap_track_is_lost(&tracked->track)
                                       ? "* BYE A session that cannot be followed ends here.\r\n"
                                       : "* BYE UNAUTHENTICATE ends the session here.\r\n");
        return;
    }
    if (tracked->logout != NULL) {
        imap_track_goodbye(slice_of(tracked->logout->tag, tracked->logout->tag_len), out);
        return;
    }
    (void)buf_append_text(out, mail_client_is_passing(reason) ? "* BYE [UNAVAILABLE] " : "* BYE ");
    (void)buf_append_text(out, mail_client_bye_text(reason));
    (void)buf_append_text(out, ".\r\n");
}
