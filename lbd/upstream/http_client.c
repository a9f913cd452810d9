#include "lbd/upstream/http_client.h"

#include "lbd/base/url.h"

void http_client_init(struct http_client *client, struct loop *loop, const struct slice *resolvers,
                      uint32_t resolver_count)
{
    *client = (struct http_client){
        .loop = loop, .resolvers = resolvers, .resolver_count = resolver_count};
    http_lines_init(&client->lines, loop);
}

void http_client_fini(struct http_client *client)
{
    if (client->loop != NULL) {
        http_lines_fini(&client->lines);
        resolve_free(client->resolve);
        client->resolve = NULL;
    }
}

struct http_call *http_client_call(struct http_client *client,
                                   const struct http_call_request *request, http_call_fn *fn,
                                   void *arg)
{
    struct http_call_request with = *request;
    struct url parts;
    struct addr address;
    struct err err;
    if (client->resolve == NULL && url_parse(request->url, &parts) == URL_OK &&
        !addr_from_ip(parts.host, parts.port, &address)) {
        client->resolve =
            resolve_new(client->loop, client->resolvers, client->resolver_count, &err);
    }
    with.resolve = client->resolve;
    with.lines = &client->lines;
    return http_call_start(client->loop, &with, fn, arg);
}
