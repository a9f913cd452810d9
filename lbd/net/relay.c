/* relay - see relay.h. */
#include "lbd/net/relay.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "lbd/base/compiler.h"

#define PIPE_BYTES     (256 * 1024)
#define TURN_BYTES     (1024U * 1024) /* per direction, then others get their turn */
#define TUNNEL_SPLICES (256U * 1024)  /* a direction this busy is worth a pipe */
#define TURN_COPIES    4

static const struct conn_ops relay_ops;

/* -- pipes -- */

static bool pipe_take(struct net_worker *net, int pipe_fds[2])
{
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
    if (way->in_pipe == 0 && net->pipe_count < ARRAY_LEN(net->pipes)) {
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
    way->in_pipe -= (size_t)n;
    way->moved += (uint64_t)n;
    return STEP_MOVED;
}

static enum step pipe_in(struct relay_way *way)
{
    if ((way->from->flags & CONN_READ_READY) == 0) {
        return STEP_WAIT;
    }
    size_t want = way->left < PIPE_BYTES ? (size_t)way->left : PIPE_BYTES;
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
    way->in_pipe += (size_t)n;
    if (way->left != UINT64_MAX) {
        way->left -= (uint64_t)n;
    }
    return STEP_MOVED;
}

static enum step copy_through(struct relay_way *way)
{
    if ((way->from->flags & CONN_READ_READY) == 0) {
        return STEP_WAIT;
    }
    struct net_worker *net = conn_net(way->from);
    size_t want = way->left < FLOW_SCRATCH_BYTES ? (size_t)way->left : FLOW_SCRATCH_BYTES;
    size_t got;
    switch (conn_read(way->from, net->scratch, want, &got)) {
    case CONN_READ_BYTES:
        break;
    case CONN_READ_NOTHING:
        return STEP_WAIT;
    case CONN_READ_END:
        return STEP_FROM_END;
    case CONN_READ_FAILED:
        return STEP_FROM_LOST;
    }
    struct iovec piece = {.iov_base = net->scratch, .iov_len = got};
    if (!conn_write(way->to, &piece, 1)) {
        return STEP_TO_LOST;
    }
    way->moved += got;
    if (way->left != UINT64_MAX) {
        way->left -= got;
    }
    if (way->left > 0) {
        conn_look_again(way->from);
    }
    return STEP_MOVED;
}

/* Runs until nothing moves or the turn is used up (then it asks for another). */
static enum step run_way(struct relay_way *way)
{
    uint64_t start = way->moved;
    int copies = 0;
    for (;;) {
        if (conn_is_blocked(way->to)) {
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
        if (way->ended || way->left == 0) {
            return STEP_FROM_END;
        }
        uint64_t budget = way->pipe[0] >= 0 ? TURN_BYTES : FLOW_SCRATCH_BYTES;
        if (way->moved - start >= budget || copies == TURN_COPIES) {
            conn_again(way->from);
            return STEP_MOVED;
        }
        if (way->pipe[0] < 0 && way->left == UINT64_MAX && way->moved > TUNNEL_SPLICES) {
            (void)pipe_take(conn_net(way->from), way->pipe);
        }
        if (way->pipe[0] >= 0) {
            step = pipe_in(way);
        } else {
            copies++;
            step = copy_through(way);
        }
        if (step == STEP_FROM_END) {
            way->ended = true;
            return way->left != UINT64_MAX && way->left > 0 ? STEP_FROM_LOST : STEP_FROM_END;
        }
        if (step != STEP_MOVED) {
            return step;
        }
    }
}

/* -- the whole -- */

static struct relay *relay_of(const struct conn *conn)
{
    return conn->user;
}

void relay_stop(struct relay *relay)
{
    for (int i = 0; i < relay->way_count; i++) {
        pipe_give(conn_net(relay->ways[i].from), &relay->ways[i]);
        loop_ready_remove(&relay->ways[i].from->queue.ready);
    }
}

static void end(struct relay *relay, enum relay_end how)
{
    relay_stop(relay);
    relay->done(relay, how);
}

static uint64_t total_moved(const struct relay *relay)
{
    return relay->ways[0].moved + (relay->way_count > 1 ? relay->ways[1].moved : 0);
}

static void set_deadline(struct relay *relay)
{
    struct relay_way *way = &relay->ways[0];
    relay->moved_at_deadline = total_moved(relay);
    bool waits_for_to = way->in_pipe > 0 || conn_is_blocked(way->to);
    conn_deadline(way->from, waits_for_to ? relay->to_idle_ms : relay->from_idle_ms);
}

/* True: it is over and `relay` may be gone. */
static bool run_ways(struct relay *relay)
{
    bool all_ended = true;
    for (int i = 0; i < relay->way_count; i++) {
        struct relay_way *way = &relay->ways[i];
        if (way->shut) {
            continue;
        }
        enum step step = run_way(way);
        if (step == STEP_FROM_LOST || step == STEP_TO_LOST) {
            bool from = (step == STEP_FROM_LOST) == (i == 0);
            end(relay, from ? RELAY_FROM_LOST : RELAY_TO_LOST);
            return true;
        }
        if (step != STEP_FROM_END || way->in_pipe > 0) {
            all_ended = false;
            continue;
        }
        way->shut = true;
        if (relay->way_count == 1) {
            continue;
        }
        conn_shut(way->to);
        pipe_give(conn_net(way->from), way);
    }
    if (all_ended && !conn_is_blocked(relay->ways[0].to) &&
        (relay->way_count == 1 || !conn_is_blocked(relay->ways[1].to))) {
        end(relay, RELAY_DONE);
        return true;
    }
    return false;
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
        way->in_pipe -= (size_t)n;
        way->moved += (size_t)n;
        if (!conn_write(way->to, &piece, 1)) {
            return false;
        }
    }
    return true;
}

static void on_ready(struct conn *conn)
{
    struct relay *relay = relay_of(conn);
    uint64_t before = total_moved(relay);
    if ((conn->flags & CONN_WRITE_BROKEN) != 0) {
        end(relay, conn == relay->ways[0].from ? RELAY_FROM_LOST : RELAY_TO_LOST);
        return;
    }
    if (relay->stops_when_spoken_to && conn == relay->ways[0].to &&
        (conn->flags & CONN_READ_READY) != 0) {
        end(relay, empty_pipe(&relay->ways[0]) ? RELAY_TO_SPOKE : RELAY_TO_LOST);
        return;
    }
    if (relay->way_count == 1 && conn == relay->ways[0].to && conn_was_reset(conn)) {
        end(relay, RELAY_TO_LOST); /* the receiver of a body went away; one that only shut its
                                      sending side still reads */
        return;
    }
    if (!run_ways(relay) && total_moved(relay) != before) {
        set_deadline(relay);
    }
}

static void on_timeout(struct conn *conn)
{
    struct relay *relay = relay_of(conn);
    if (total_moved(relay) != relay->moved_at_deadline) {
        set_deadline(relay);
        return;
    }
    const struct relay_way *way = &relay->ways[0];
    bool waits_for_to = relay->way_count == 1 && (way->in_pipe > 0 || conn_is_blocked(way->to));
    end(relay, waits_for_to ? RELAY_TO_IDLE : RELAY_FROM_IDLE);
}

static const struct conn_ops relay_ops = {
    .on_readable = on_ready,
    .on_room = on_ready,
    .on_timeout = on_timeout,
};

void *relay_user_before(const struct conn *conn)
{
    const struct relay *relay = relay_of(conn);
    assert(conn->ops == &relay_ops);
    return relay->users[conn == relay->ways[0].from ? 0 : 1];
}

static void way_init(struct relay_way *way, struct conn *from, struct conn *to, uint64_t left)
{
    *way = (struct relay_way){.from = from, .to = to, .left = left, .pipe = {-1, -1}};
}

static void start(struct relay *relay)
{
    for (int i = 0; i < 2; i++) {
        struct conn *conn = i == 0 ? relay->ways[0].from : relay->ways[0].to;
        relay->users[i] = conn->user;
        conn->ops = &relay_ops;
        conn->user = relay;
    }
    for (int i = 0; i < relay->way_count; i++) {
        conn_look_again(relay->ways[i].from); /* its first bytes were read by someone else */
    }
    /* One deadline, at `from`; what `to` had pending speaks of an earlier state. */
    conn_no_deadline(relay->ways[0].to);
    set_deadline(relay);
    conn_again(relay->ways[0].from); /* never in the caller's call */
}

void relay_count(struct relay *relay, struct conn *from, struct conn *to, uint64_t length,
                 uint32_t from_idle_ms, uint32_t to_idle_ms,
                 void (*done)(struct relay *relay, enum relay_end end))
{
    assert(flow_is_empty(&from->in));
    *relay = (struct relay){
        .way_count = 1, .from_idle_ms = from_idle_ms, .to_idle_ms = to_idle_ms, .done = done};
    way_init(&relay->ways[0], from, to, length);
    (void)pipe_take(conn_net(from), relay->ways[0].pipe); /* without one it copies */
    start(relay);
}

/* Bytes that were read before the tunnel began. */
static bool send_kept(struct conn *from, struct conn *to, uint64_t *moved)
{
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
    *moved += len;
    return conn_write(to, &piece, 1);
}

void relay_tunnel(struct relay *relay, struct conn *a, struct conn *b, uint32_t idle_ms,
                  void (*done)(struct relay *relay, enum relay_end end))
{
    *relay = (struct relay){
        .way_count = 2, .from_idle_ms = idle_ms, .to_idle_ms = idle_ms, .done = done};
    way_init(&relay->ways[0], a, b, UINT64_MAX);
    way_init(&relay->ways[1], b, a, UINT64_MAX);
    (void)send_kept(a, b, &relay->ways[0].moved); /* a failure shows when the relay runs */
    (void)send_kept(b, a, &relay->ways[1].moved);
    start(relay);
}
