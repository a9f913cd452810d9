/* h1_send - see h1_send.h. */
#include "lbd/http/h1_send.h"

#include "lbd/http/h1_write.h"

static bool push(struct h1_conn *h1, struct iovec *pieces, int count)
{
    struct conn *conn = h1->conn;
    for (int i = 0; i < count; i++) {
        h1->stream.sent_bytes += pieces[i].iov_len;
    }
    if (!conn_write(conn, pieces, count)) {
        bool is_short = (conn->flags & CONN_NO_MEMORY) != 0;
        h1->stream.fault = (uint8_t)(is_short ? CLOSE_OUT_OF_MEMORY : CLOSE_OK);
        return false;
    }
    if (LB_UNLIKELY(conn_is_blocked(conn)) && h1->timer != TIMER_WRITE) {
        h1_conn_await_room(h1);
    }
    return true;
}

static void add_piece(struct iovec *pieces, int *count, struct slice bytes)
{
    if (bytes.len > 0) {
        /* sendmsg(2) does not write to its pieces. */
        pieces[*count] =
            (struct iovec){.iov_base = (char *)(uintptr_t)bytes.ptr, .iov_len = bytes.len};
        (*count)++;
    }
}

/* Appends body bytes in the framing that was announced. `chunk_head` must live until they are sent.
 */
static bool add_body(struct h1_conn *h1, struct iovec *pieces, int *count,
                     char chunk_head[H1_CHUNK_HEAD_MAX], struct slice bytes, bool is_last)
{
    if (h1->out_framing == FRAMING_LENGTH) {
        if (bytes.len > h1->out_left || (is_last && bytes.len != h1->out_left)) {
            return false; /* not what we announced: never let it be taken for another message */
        }
        h1->out_left -= bytes.len;
        add_piece(pieces, count, bytes);
    } else if (h1->out_framing == FRAMING_CHUNKED && !h1->out_framed) {
        if (bytes.len > 0) {
            add_piece(pieces, count, slice_of(chunk_head, h1_chunk_head(chunk_head, bytes.len)));
            add_piece(pieces, count, bytes);
            add_piece(pieces, count, SLICE("\r\n"));
        }
        if (is_last) {
            add_piece(pieces, count, H1_LAST_CHUNK);
        }
    } else {
        add_piece(pieces, count, bytes);
        if (is_last && h1->out_framing == FRAMING_CHUNKED) {
            add_piece(pieces, count, H1_LAST_CHUNK);
        }
    }
    return true;
}

static size_t write_head(struct h1_conn *h1, char *out, const struct stream_head *head)
{
    struct h1_write how = {
        .framing = head->framing,
        .content_length = head->content_length,
        .has_length = head->has_length,
        .upgrade_websocket = head->upgrade,
        .te_trailers = head->te_trailers,
    };
    if (h1->role == H1_SERVER_FACING) {
        h1->request_method = head->message->method;
        return h1_write_request(out, FLOW_HEAD_BYTES, head->message, &how);
    }
    uint16_t status = head->message->status;
    if (status >= 200) {
        if (how.framing == FRAMING_CHUNKED && h1->peer_http10) {
            how.framing = FRAMING_UNTIL_CLOSE;
        }
        h1->close_after = h1->close_after || head->close || h1->peer_wants_close ||
                          h1->in != IN_DONE || how.framing == FRAMING_UNTIL_CLOSE;
        how.close = h1->close_after;
        how.keep_alive = !how.close && h1->peer_http10;
    }
    h1->out_framing = (uint8_t)how.framing;
    return h1_write_response(out, FLOW_HEAD_BYTES, head->message, &how);
}

bool h1_send_head(struct stream *stream, const struct stream_head *head, struct slice bytes,
                  bool is_last)
{
    struct h1_conn *h1 = h1_conn_of(stream);
    uint16_t status = head->message->status;
    bool interim = h1->role == H1_CLIENT_FACING && status < 200 && status != 101;
    if (interim && h1->peer_http10) {
        return true; /* RFC 9110 15.2: not to an HTTP/1.0 client */
    }
    char *out = conn_net(h1->conn)->head_scratch;
    h1->out_framing = (uint8_t)head->framing;
    size_t len = write_head(h1, out, head);
    if (len == 0) {
        return false;
    }
    struct iovec pieces[6];
    int count = 0;
    char chunk_head[H1_CHUNK_HEAD_MAX];
    add_piece(pieces, &count, slice_of(out, len));
    if (interim) {
        return push(h1, pieces, count);
    }
    h1->out = OUT_BODY;
    h1->out_framed = head->framed && h1->out_framing == FRAMING_CHUNKED;
    h1->out_left = h1->out_framing == FRAMING_LENGTH ? head->content_length : 0;
    bool body = h1->out_framing != FRAMING_NONE;
    if (body && !add_body(h1, pieces, &count, chunk_head, bytes, is_last)) {
        return false;
    }
    if (!push(h1, pieces, count)) {
        return false;
    }
    return is_last ? h1_conn_out_done(h1) : true;
}

bool h1_send_body(struct stream *stream, struct slice bytes, bool is_last)
{
    struct h1_conn *h1 = h1_conn_of(stream);
    struct iovec pieces[5];
    int count = 0;
    char chunk_head[H1_CHUNK_HEAD_MAX];
    if (!add_body(h1, pieces, &count, chunk_head, bytes, is_last)) {
        return false;
    }
    if (count > 0 && !push(h1, pieces, count)) {
        return false;
    }
    if (is_last && h1->out_framing == FRAMING_TUNNEL) {
        conn_shut(h1->conn); /* the half that is ours */
    }
    return is_last ? h1_conn_out_done(h1) : true;
}

bool h1_send_trailers(struct stream *stream, struct slice lines)
{
    struct h1_conn *h1 = h1_conn_of(stream);
    if (h1->out_framing != FRAMING_CHUNKED) {
        return h1_send_body(stream, SLICE_NONE, true);
    }
    struct iovec pieces[3];
    int count = 0;
    add_piece(pieces, &count, SLICE("0\r\n"));
    add_piece(pieces, &count, lines);
    add_piece(pieces, &count, SLICE("\r\n"));
    return push(h1, pieces, count) && h1_conn_out_done(h1);
}
