/* relay - see relay.h. */
#include "lbd/net/relay.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "lbd/base/compiler.h"

#define PIPE_BYTES   (256 * 1024)
#define TURN_BYTES   (1024U * 1024) /* per direction, then others get their turn */
#define BULK_BYTES   (32U * 1024)   /* what comes at once and is worth two more system calls */
#define TURN_COPIES  4
#define DROPPED_MASK 0x3fffffffU

static const struct conn_ops relay_ops;

static struct relay *relay_of(const struct conn *conn)
{
    return conn->user;
}

static bool is_count(const struct relay *relay)
{
    return relay->ops == NULL;
}

/* What is still to be read; UINT64_MAX: until the end. */
static uint64_t left_of(const struct relay_way *way)
{
    const struct relay *relay = relay_of(way->from);
    return is_count(relay) ? relay->count.left : UINT64_MAX;
}

/* Must somebody see what this way carries? */
static bool is_watched(const struct relay *relay, const struct relay_way *way)
{
    return relay->ops != NULL && relay->ops->look != NULL && way == &relay->ways[1];
}

/* Does somebody say how much of it goes on? */
static bool is_sifted(const struct relay *relay, const struct relay_way *way)
{
    return relay->ops != NULL && relay->ops->pass != NULL && way == &relay->ways[0];
}

/* Keeps back what must wait. False: no memory. */
static bool sift(struct relay *relay, struct relay_way *way, struct iovec *piece)
{
    struct slice bytes = slice_of(piece->iov_base, piece->iov_len);
    piece->iov_len = relay->ops->pass(relay, bytes);
    struct slice rest = slice_from_at(bytes, piece->iov_len);
    return rest.len == 0 || way->stage == RELAY_WAY_HELD ||
           flow_put(conn_net(way->from), &way->from->in, rest);
}

/* What was kept back goes before what came now, where there is room for it. */
static bool sift_read(struct relay *relay, struct relay_way *way, struct iovec *piece)
{
    size_t kept = flow_len(&way->from->in);
    if (kept > FLOW_SCRATCH_BYTES) {
        return false;
    }
    piece->iov_base = (char *)piece->iov_base - kept;
    piece->iov_len += flow_take(conn_net(way->from), &way->from->in, piece->iov_base);
    return sift(relay, way, piece);
}

static void look_at(struct relay *relay, const struct relay_way *way, struct slice bytes)
{
    if (is_watched(relay, way)) {
        uint64_t unseen = relay->ops->look(relay, bytes);
        relay->unseen = unseen < UINT32_MAX ? (uint32_t)unseen : UINT32_MAX;
    }
}

/* -- pipes -- */

static bool pipe_take(struct net_worker *net, int pipe_fds[2])
{
    if (net_worker_spares(net, NET_SPARED_PIPE)) {
        return false;
    }
    if (net->pipe_count > 0) {
        net->pipe_count--;
        pipe_fds[0] = net->pipes[net->pipe_count][0];
        pipe_fds[1] = net->pipes[net->pipe_count][1];
        return true;
    }
    if (pipe2(pipe_fds, O_NONBLOCK | O_CLOEXEC) != 0) {
        pipe_fds[0] = -1;
        pipe_fds[1] = -1;
        return false;
    }
    (void)fcntl(pipe_fds[1], F_SETPIPE_SZ, PIPE_BYTES); /* smaller works too */
    return true;
}

static void pipe_give(struct net_worker *net, struct relay_way *way)
{
    if (way->pipe[0] < 0) {
        return;
    }
    if (way->in_pipe == 0 && net->pipe_count < ARRAY_LEN(net->pipes) && !net->is_lean) {
        net->pipes[net->pipe_count][0] = way->pipe[0];
        net->pipes[net->pipe_count][1] = way->pipe[1];
        net->pipe_count++;
    } else {
        (void)close(way->pipe[0]);
        (void)close(way->pipe[1]);
    }
    way->pipe[0] = -1;
    way->pipe[1] = -1;
}

/* -- one direction -- */

enum step { STEP_MOVED, STEP_WAIT, STEP_FROM_END, STEP_FROM_LOST, STEP_TO_LOST };

static bool would_block(void)
{
    return errno == EAGAIN || errno == EINTR;
}

static void took(struct relay_way *way, size_t count)
{
    struct relay *relay = relay_of(way->from);
    if (is_count(relay)) {
        relay->count.left -= count;
        return;
    }
    size_t burst = way->burst + count;
    way->burst = burst < UINT16_MAX ? (uint16_t)burst : UINT16_MAX;
    way->bulk = way->bulk || way->burst >= BULK_BYTES;
}

/* A tunnel's source has nothing more for now. What its next bytes are worth, these tell. */
static void ran_dry(struct relay_way *way)
{
    if (!is_count(relay_of(way->from))) {
        way->bulk = way->burst >= BULK_BYTES;
        way->burst = 0;
        if (way->in_pipe == 0) {
            pipe_give(conn_net(way->from), way);
        }
    }
}

static enum step pipe_out(struct relay_way *way)
{
    if ((way->to->flags & CONN_WRITE_READY) == 0) {
        return STEP_WAIT;
    }
    /* Without SPLICE_F_MORE: what follows is not in hand, and the kernel would hold this back for
     * up to 200 ms when the source is slow. */
    ssize_t n = splice(way->pipe[0], NULL, way->to->fd, NULL, way->in_pipe,
                       SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    if (n < 0) {
        if (would_block()) {
            way->to->flags &= ~(uint32_t)CONN_WRITE_READY;
            return STEP_WAIT;
        }
        return STEP_TO_LOST;
    }
    way->in_pipe -= (uint32_t)n;
    way->moved += (uint64_t)n;
    return STEP_MOVED;
}

static enum step pipe_in(struct relay_way *way)
{
    struct relay *relay = relay_of(way->from);
    uint64_t left = left_of(way);
    size_t want = left < PIPE_BYTES ? (size_t)left : PIPE_BYTES;
    if (is_watched(relay, way) && relay->unseen < want) {
        want = relay->unseen;
    }
    ssize_t n =
        splice(way->from->fd, NULL, way->pipe[1], NULL, want, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    if (n < 0) {
        if (would_block()) {
            if (way->in_pipe == 0) {
                way->from->flags &=
                    ~(uint32_t)CONN_READ_READY; /* else the pipe may be what is full */
            }
            return STEP_WAIT;
        }
        return STEP_FROM_LOST;
    }
    if (n == 0) {
        way->from->flags =
            (way->from->flags & ~(uint32_t)CONN_READ_READY) | CONN_EOF | CONN_PEER_CLOSED;
        return STEP_FROM_END;
    }
    look_at(relay, way, slice_of(NULL, (size_t)n));
    way->in_pipe += (uint32_t)n;
    took(way, (size_t)n);
    return STEP_MOVED;
}

/* The kernel may move the bytes by itself. */
static bool is_plain(const struct relay_way *way)
{
    return way->from->transport == &tcp_transport && way->to->transport == &tcp_transport;
}

/* Of a tunnel whose source has sent its end, which comes with the next read: the last bytes and
 * our end are one segment. What was read before an end of TCP cannot be followed by a failure. */
static bool ends_behind(const struct relay *relay, const struct relay_way *way)
{
    return !is_count(relay) && !is_sifted(relay, way) && is_plain(way) &&
           (way->from->flags & CONN_PEER_CLOSED) != 0;
}

static bool write_on(const struct relay *relay, const struct relay_way *way, struct iovec *piece)
{
    way->to->flags |= ends_behind(relay, way) ? (uint32_t)CONN_MORE : 0;
    bool ok = conn_write(way->to, piece, 1);
    way->to->flags &= ~(uint32_t)CONN_MORE;
    return ok;
}

static enum step copy_through(struct relay_way *way)
{
    struct relay *relay = relay_of(way->from);
    struct net_worker *net = conn_net(way->from);
    char *bytes = net->scratch + FLOW_SCRATCH_BYTES;
    uint64_t left = left_of(way);
    size_t want = left < FLOW_SCRATCH_BYTES ? (size_t)left : FLOW_SCRATCH_BYTES;
    size_t got;
    switch (conn_read(way->from, bytes, want, &got)) {
    case CONN_READ_BYTES:
        break;
    case CONN_READ_NOTHING:
        return STEP_WAIT;
    case CONN_READ_END:
        return STEP_FROM_END;
    case CONN_READ_FAILED:
        /* in a tunnel an end is an end: who lies within knows what is missing */
        return (way->from->flags & CONN_CUT_OFF) != 0 ? STEP_FROM_END : STEP_FROM_LOST;
    }
    relay->dropped = 0;
    look_at(relay, way, slice_of(bytes, got));
    struct iovec piece = {.iov_base = bytes + relay->dropped, .iov_len = got - relay->dropped};
    if (is_sifted(relay, way) && !sift_read(relay, way, &piece)) {
        return STEP_FROM_LOST;
    }
    size_t passed = piece.iov_len;
    if (passed > 0 && !write_on(relay, way, &piece)) {
        return STEP_TO_LOST;
    }
    way->moved += passed;
    took(way, passed);
    if (left_of(way) > 0) {
        conn_look_again(way->from);
    }
    return STEP_MOVED;
}

/* A tunnel's direction goes by pipe while it is worth one and nobody must see what comes. */
static void choose_pipe(struct relay_way *way)
{
    const struct relay *relay = relay_of(way->from);
    bool watched = is_watched(relay, way);
    bool may = (!watched || relay->unseen >= BULK_BYTES) && !is_sifted(relay, way);
    if (way->pipe[0] < 0 && way->bulk && may && is_plain(way)) {
        (void)pipe_take(conn_net(way->from), way->pipe);
    } else if (way->pipe[0] >= 0 && watched && relay->unseen == 0) {
        pipe_give(conn_net(way->from), way);
    }
}

static bool is_paused(const struct relay_way *way)
{
    const struct relay *relay = relay_of(way->from);
    return relay->is_paused && way == &relay->ways[0];
}

/* Runs until nothing moves or the turn is used up (then it asks for another). */
static enum step run_way(struct relay_way *way)
{
    uint64_t start = way->moved;
    int copies = 0;
    for (;;) {
        if (conn_is_blocked(way->to) || is_paused(way)) {
            return STEP_WAIT;
        }
        enum step step;
        if (way->in_pipe > 0) {
            step = pipe_out(way);
            if (step == STEP_WAIT || step == STEP_TO_LOST) {
                return step;
            }
            if (way->in_pipe > 0) {
                continue;
            }
        }
        if (way->stage == RELAY_WAY_LOST) {
            return STEP_FROM_LOST;
        }
        if (way->stage != RELAY_WAY_OPEN || left_of(way) == 0) {
            return STEP_FROM_END;
        }
        uint64_t budget = way->pipe[0] >= 0 ? TURN_BYTES : FLOW_SCRATCH_BYTES;
        if (way->moved - start >= budget || copies == TURN_COPIES) {
            conn_again(way->from);
            return STEP_MOVED;
        }
        if ((way->from->flags & CONN_READ_READY) == 0) {
            return STEP_WAIT;
        }
        choose_pipe(way);
        if (way->pipe[0] >= 0) {
            step = pipe_in(way);
        } else {
            copies++;
            step = copy_through(way);
        }
        if (step == STEP_FROM_END) {
            way->stage = RELAY_WAY_ENDED;
            bool is_cut_short = is_count(relay_of(way->from)) && left_of(way) > 0;
            return is_cut_short ? STEP_FROM_LOST : STEP_FROM_END;
        }
        if (step == STEP_WAIT && (way->from->flags & CONN_READ_READY) == 0) {
            ran_dry(way);
        }
        if (step != STEP_MOVED) {
            return step;
        }
    }
}

/* -- the whole -- */

static int way_count(const struct relay *relay)
{
    return is_count(relay) ? 1 : 2;
}

/* What went through since the last time. */
static void tell(struct relay *relay)
{
    uint64_t moved[2] = {0, 0};
    for (int i = 0; i < way_count(relay); i++) {
        uint32_t now = (uint32_t)relay->ways[i].moved;
        moved[i] = now - relay->told[i];
        relay->told[i] = now;
    }
    if (!is_count(relay) && relay->ops->on_moved != NULL && (moved[0] != 0 || moved[1] != 0)) {
        relay->ops->on_moved(relay, moved[0], moved[1]);
    }
}

void relay_hold(struct relay *relay)
{
    relay->ways[0].stage = RELAY_WAY_HELD;
}

void relay_stop(struct relay *relay)
{
    tell(relay);
    for (int i = 0; i < way_count(relay); i++) {
        pipe_give(conn_net(relay->ways[i].from), &relay->ways[i]);
        loop_ready_remove(&relay->ways[i].from->queue.ready);
    }
}

static void end(struct relay *relay, enum relay_end how)
{
    relay_stop(relay);
    if (is_count(relay)) {
        relay->count.done(relay, how);
    } else {
        relay->ops->done(relay, how);
    }
}

static uint64_t total_moved(const struct relay *relay)
{
    return relay->ways[0].moved + (!is_count(relay) ? relay->ways[1].moved : 0);
}

static bool is_pending(const struct relay_way *way)
{
    return way->in_pipe > 0 || conn_is_blocked(way->to);
}

/* How long the next byte of a count may take. */
static uint32_t count_delay_ms(const struct relay *relay)
{
    const struct relay_paces *paces = relay->count.paces;
    if (!pace_output_waits(&paces->to)) {
        return paces->from_rule.idle_ms;
    }
    return pace_output_delay_ms(&paces->to, &paces->to_rule, loop_now_us(relay->ways[0].to->loop));
}

static void set_deadline(struct relay *relay)
{
    struct relay_way *way = &relay->ways[0];
    tell(relay);
    uint32_t idle_ms = is_count(relay) ? count_delay_ms(relay) : relay->idle_ms;
    if (relay->first_ms == 0) {
        conn_deadline(way->from, idle_ms);
    } else if (way->moved > 0) {
        relay->first_ms = 0;
        conn_deadline(way->from, idle_ms);
    }
}

/* This end is gone. */
static void end_lost(struct relay *relay, const struct conn *conn)
{
    end(relay, conn == relay->ways[0].from ? RELAY_FROM_LOST : RELAY_TO_LOST);
}

/* Nothing more goes to way->to; what it said before may still lie there, and be an answer. */
static void cut(struct relay_way *way)
{
    way->stage = RELAY_WAY_CUT;
    conn_look_again(way->to);
}

static bool is_done(const struct relay_way *way)
{
    return way->stage == RELAY_WAY_CUT || way->stage == RELAY_WAY_HELD ||
           (way->stage == RELAY_WAY_SHUT && !conn_is_blocked(way->to));
}

/* One turn of one way. False: it is over and `relay` may be gone. */
static bool run_tunnel_way(struct relay *relay, struct relay_way *way)
{
    switch (run_way(way)) {
    case STEP_MOVED:
    case STEP_WAIT:
        return true;
    case STEP_FROM_LOST:
        if (!is_pending(way)) {
            end_lost(relay, way->from);
            return false;
        }
        way->stage = RELAY_WAY_LOST; /* what it sent before is not lost */
        return true;
    case STEP_TO_LOST:
        cut(way);
        return true;
    case STEP_FROM_END:
        if (way->stage == RELAY_WAY_HELD) {
            return true;
        }
        if (relay->ops->keeps != NULL && way == &relay->ways[0] && relay->ops->keeps(relay)) {
            end(relay, RELAY_FROM_ENDED);
            return false;
        }
        if (relay->ops->loses != NULL && way == &relay->ways[1] &&
            relay->ways[0].stage == RELAY_WAY_OPEN && relay->ops->loses(relay)) {
            end(relay, RELAY_TO_ENDED);
            return false;
        }
        way->stage = RELAY_WAY_SHUT;
        conn_shut(way->to);
        pipe_give(conn_net(way->from), way);
        return true;
    }
    return true;
}

/* True: it is over and `relay` may be gone. */
static bool run_tunnel(struct relay *relay)
{
    struct relay_way *ways = relay->ways;
    /* the second way may show the first that it is cut */
    for (int turn = 0; turn < 3; turn++) {
        struct relay_way *way = &ways[turn % 2];
        const struct relay_way *back = &ways[1 - turn % 2];
        bool is_over = way->stage == RELAY_WAY_SHUT || way->stage == RELAY_WAY_CUT ||
                       way->stage == RELAY_WAY_HELD ||
                       back->stage == RELAY_WAY_LOST; /* nothing goes to who is gone */
        if (!is_over && (turn < 2 || back->stage == RELAY_WAY_CUT) && !run_tunnel_way(relay, way)) {
            return true;
        }
    }
    if (!is_done(&ways[0]) || !is_done(&ways[1])) {
        return false;
    }
    if (ways[0].stage == RELAY_WAY_CUT) {
        end_lost(relay, ways[0].to);
    } else if (ways[1].stage == RELAY_WAY_CUT) {
        end_lost(relay, ways[1].to);
    } else {
        end(relay, RELAY_DONE);
    }
    return true;
}

/* The same. */
static bool run_count(struct relay *relay)
{
    struct relay_way *way = &relay->ways[0];
    switch (run_way(way)) {
    case STEP_MOVED:
    case STEP_WAIT:
        return false;
    case STEP_FROM_LOST:
        end(relay, RELAY_FROM_LOST);
        return true;
    case STEP_TO_LOST:
        end(relay, RELAY_TO_LOST);
        return true;
    case STEP_FROM_END:
        break;
    }
    if (is_pending(way)) {
        return false;
    }
    end(relay, RELAY_DONE);
    return true;
}

/* What lies in the pipe was taken from the source and cannot be put back. */
static bool empty_pipe(struct relay_way *way)
{
    struct net_worker *net = conn_net(way->from);
    while (way->in_pipe > 0) {
        ssize_t n = read(way->pipe[0], net->scratch, FLOW_SCRATCH_BYTES);
        if (n <= 0) {
            return false;
        }
        struct iovec piece = {.iov_base = net->scratch, .iov_len = (size_t)n};
        way->in_pipe -= (uint32_t)n;
        way->moved += (size_t)n;
        if (!conn_write(way->to, &piece, 1)) {
            return false;
        }
    }
    return true;
}

/* -- the least rates of a count -- */

static enum pace_verdict look_at_output(struct relay *relay)
{
    struct relay_paces *paces = relay->count.paces;
    const struct relay_way *way = &relay->ways[0];
    const struct conn *to = way->to;
    size_t waiting = way->in_pipe + flow_len(&to->out);
    /* `moved` counts what conn_write keeps; conn_taken takes that off */
    return pace_output_look(&paces->to, &paces->to_rule, loop_now_us(to->loop), waiting,
                            conn_taken(to, way->moved));
}

/* The source brought bytes or the destination took some: from here on one of them is waited for.
 * False: it is too slow, `relay` may be gone. */
static bool keep_pace(struct relay *relay, uint64_t brought, uint64_t moved)
{
    struct relay_paces *paces = relay->count.paces;
    const struct relay_way *way = &relay->ways[0];
    uint64_t now = loop_now_us(way->from->loop);
    if (moved > 0 && pace_output_is_long(&paces->to, now) && look_at_output(relay) == PACE_SLOW) {
        end(relay, RELAY_TO_SLOW);
        return false;
    }
    if (brought > 0 && !pace_note(&paces->from, &paces->from_rule, now, brought)) {
        end(relay, RELAY_FROM_SLOW);
        return false;
    }
    if (!is_pending(way)) {
        pace_output_rest(&paces->to);
        pace_wait(&paces->from, now); /* not before its first bytes: that is the idle limit's */
        return true;
    }
    pace_rest(&paces->from);
    if (moved > 0 || !pace_output_waits(&paces->to)) {
        pace_output_wait(&paces->to, now, way->in_pipe + flow_len(&way->to->out));
    }
    return true;
}

/* The deadline of a count passed. */
static void count_timed_out(struct relay *relay)
{
    if (!pace_output_waits(&relay->count.paces->to)) {
        end(relay, RELAY_FROM_IDLE);
        return;
    }
    switch (look_at_output(relay)) {
    case PACE_GO_ON:
        set_deadline(relay);
        return;
    case PACE_IDLE:
        end(relay, RELAY_TO_IDLE);
        return;
    case PACE_SLOW:
        end(relay, RELAY_TO_SLOW);
        return;
    }
}

static void on_ready(struct conn *conn)
{
    struct relay *relay = relay_of(conn);
    uint64_t before = total_moved(relay);
    uint32_t piped = relay->ways[0].in_pipe;
    if ((conn->flags & CONN_WRITE_BROKEN) != 0) {
        if (is_count(relay)) {
            end_lost(relay, conn);
            return;
        }
        cut(conn == relay->ways[0].to ? &relay->ways[0] : &relay->ways[1]);
    }
    if (is_count(relay) && relay->stops_when_spoken_to && conn == relay->ways[0].to &&
        (conn->flags & CONN_READ_READY) != 0) {
        end(relay, empty_pipe(&relay->ways[0]) ? RELAY_TO_SPOKE : RELAY_TO_LOST);
        return;
    }
    if (is_count(relay) && conn == relay->ways[0].to && conn_was_reset(conn)) {
        end(relay, RELAY_TO_LOST); /* the receiver of a body went away; one that only shut its
                                      sending side still reads */
        return;
    }
    bool is_over = is_count(relay) ? run_count(relay) : run_tunnel(relay);
    if (is_over) {
        return;
    }
    uint64_t moved = total_moved(relay) - before;
    if (!is_count(relay)) {
        if (moved > 0) {
            set_deadline(relay);
        }
        return;
    }
    uint64_t brought = moved + relay->ways[0].in_pipe - piped;
    if ((moved > 0 || brought > 0) && keep_pace(relay, brought, moved)) {
        set_deadline(relay);
    }
}

/* Since the deadline was set. */
static bool has_moved(const struct relay *relay)
{
    return (uint32_t)relay->ways[0].moved != relay->told[0] ||
           (!is_count(relay) && (uint32_t)relay->ways[1].moved != relay->told[1]);
}

static void on_timeout(struct conn *conn)
{
    struct relay *relay = relay_of(conn);
    if (relay->first_ms != 0 && relay->ways[0].moved == 0 &&
        relay->ways[0].stage == RELAY_WAY_OPEN) {
        end(relay, RELAY_FROM_SILENT);
        return;
    }
    if (has_moved(relay) || relay->first_ms != 0) {
        relay->first_ms = 0;
        set_deadline(relay);
        return;
    }
    if (is_count(relay)) {
        count_timed_out(relay);
    } else {
        end(relay, RELAY_FROM_IDLE);
    }
}

static const struct conn_ops relay_ops = {
    .on_readable = on_ready,
    .on_room = on_ready,
    .on_timeout = on_timeout,
};

void *relay_user_before(const struct conn *conn)
{
    const struct relay *relay = relay_of(conn);
    assert(conn->ops == &relay_ops && is_count(relay));
    return relay->count.users[conn == relay->ways[0].from ? 0 : 1];
}

static void way_init(struct relay_way *way, struct conn *from, struct conn *to)
{
    *way = (struct relay_way){.from = from, .to = to, .pipe = {-1, -1}};
}

static void start(struct relay *relay)
{
    for (int i = 0; i < 2; i++) {
        struct conn *conn = i == 0 ? relay->ways[0].from : relay->ways[0].to;
        if (is_count(relay)) {
            relay->count.users[i] = conn->user;
        }
        conn->ops = &relay_ops;
        conn->user = relay;
    }
    for (int i = 0; i < way_count(relay); i++) {
        conn_look_again(relay->ways[i].from); /* its first bytes were read by someone else */
    }
    /* One deadline, at `from`; what `to` had pending speaks of an earlier state. */
    conn_no_deadline(relay->ways[0].to);
    set_deadline(relay);
    conn_again(relay->ways[0].from); /* never in the caller's call */
}

void relay_count(struct relay *relay, struct conn *from, struct conn *to, uint64_t length,
                 struct relay_paces *paces, void (*done)(struct relay *relay, enum relay_end end))
{
    assert(flow_is_empty(&from->in));
    *relay = (struct relay){0};
    relay->count.done = done;
    relay->count.paces = paces;
    paces->from = (struct pace){0};
    paces->to = (struct pace_output){0};
    relay->count.left = length;
    way_init(&relay->ways[0], from, to);
    if (is_plain(&relay->ways[0])) {
        (void)pipe_take(conn_net(from), relay->ways[0].pipe); /* without one it copies */
    }
    start(relay);
}

/* Bytes that were read before the tunnel began. */
static bool send_kept(struct relay *relay, struct relay_way *way)
{
    struct conn *from = way->from;
    struct net_worker *net = conn_net(from);
    size_t len = flow_len(&from->in);
    if (len == 0) {
        return true;
    }
    if (len > 2U * FLOW_SCRATCH_BYTES) {
        return false;
    }
    struct iovec piece = {.iov_base = net->scratch,
                          .iov_len = flow_take(net, &from->in, net->scratch)};
    relay->dropped = 0;
    look_at(relay, way, slice_of(net->scratch, len));
    piece.iov_base = (char *)piece.iov_base + relay->dropped;
    piece.iov_len -= relay->dropped;
    if (is_sifted(relay, way) && !sift(relay, way, &piece)) {
        return false;
    }
    way->moved += piece.iov_len;
    return piece.iov_len == 0 || conn_write(way->to, &piece, 1);
}

void relay_tunnel(struct relay *relay, struct conn *a, struct conn *b, uint32_t idle_ms,
                  const struct relay_ops *ops)
{
    *relay = (struct relay){.ops = ops, .idle_ms = idle_ms};
    way_init(&relay->ways[0], a, b);
    way_init(&relay->ways[1], b, a);
    (void)send_kept(relay, &relay->ways[0]); /* a failure shows when the relay runs */
    (void)send_kept(relay, &relay->ways[1]);
    start(relay);
}

void relay_pause(struct relay *relay)
{
    relay->is_paused = true;
}

void relay_resume(struct relay *relay)
{
    relay->is_paused = false;
    (void)send_kept(relay, &relay->ways[0]); /* a failure shows when the relay runs */
    conn_look_again(relay->ways[0].from);
    conn_again(relay->ways[0].from);
}

void relay_drop(struct relay *relay, size_t len)
{
    relay->dropped = (uint32_t)len & DROPPED_MASK; /* of two scratches at most */
}

void relay_expect_first(struct relay *relay, uint32_t first_ms)
{
    if (first_ms != 0 && first_ms < relay->idle_ms && relay->ways[0].moved == 0) {
        relay->first_ms = first_ms;
        conn_deadline(relay->ways[0].from, first_ms);
    }
}
