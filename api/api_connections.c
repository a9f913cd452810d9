#include "api/api_connections.h"

#include "api/api_clients.h"

static void write_tls(struct json_write *w, const struct clients_item *item)
{
    json_write_key(w, "tls");
    json_write_object_begin(w);
    json_write_member_text(w, "version", item->tls_version);
    json_write_member_text(w, "cipher", item->tls_cipher);
    if (item->sni[0] != '\0') {
        json_write_member_text(w, "sni", item->sni);
    }
    if (item->certificate[0] != '\0') {
        json_write_member_text(w, "client_subject", item->certificate);
    }
    json_write_object_end(w);
}

static void write_connection(struct json_write *w, const struct clients_item *item)
{
    char id[CLIENTS_ID_MAX];
    char client[ADDR_TEXT_MAX];
    clients_write_id(item->id, id);
    size_t len = addr_small_write(&item->address, client);
    json_write_object_begin(w);
    json_write_member_text(w, "id", id);
    json_write_member_text(w, "listener", item->listener);
    json_write_member_string(w, "client", slice_of(client, len));
    if (item->peer.family != 0) {
        len = addr_small_write(&item->peer, client);
        json_write_member_string(w, "peer", slice_of(client, len));
    }
    json_write_member_text(w, "protocol", session_protocol_word(item->protocol));
    if (item->tls_version != NULL) {
        write_tls(w, item);
    }
    json_write_member_text(w, "state", session_state_word(item->state));
    if (item->user[0] != '\0') {
        json_write_member_text(w, "user", item->user);
    }
    if (item->pool[0] != '\0') {
        json_write_member_text(w, "pool", item->pool);
    }
    if (item->server[0] != '\0') {
        json_write_member_text(w, "server", item->server);
    }
    json_write_member_u64(w, "age_ms", item->age_us / 1000);
    json_write_member_u64(w, "requests", item->requests);
    if (item->protocol == SESSION_SPEAKS_HTTP2) {
        json_write_member_u64(w, "streams", item->streams);
    }
    json_write_member_u64(w, "worker", (item->id >> SESSION_NUMBER_BITS) - 1);
    json_write_object_end(w);
}

static void on_listed(const struct clients_answer *answer, void *arg)
{
    api_clients_answer(arg, answer, "connections", write_connection);
}

void api_connections_list(struct api_request *request)
{
    struct api_clients_question question = {0};
    if (api_clients_read(request, &question)) {
        api_clients_ask(request, &question.query, on_listed);
    } else {
        api_request_done(request);
    }
}

void api_connections_delete(struct api_request *request)
{
    struct clients_query query = {0};
    api_clients_end(request, &query, "connection");
}
