#include "api/api_calls.h"

#include <string.h>

#include "api/api_table.h"

static const unsigned codes[] = {200, 201, 202, 204, 304, 400, 401, 403, 404, 405, 409,
                                 410, 412, 413, 415, 422, 428, 429, 500, 503, 507, 0};
static const char *const methods[] = {"GET", "HEAD", "PUT", "PATCH", "DELETE", "POST", "other"};

static uint64_t answered[API_CALLS_ROWS_MAX][ARRAY_LEN(methods)][ARRAY_LEN(codes)];
static struct histogram_duration durations[API_CALLS_ROWS_MAX];
static uint64_t connections;

void api_calls_connection(int change)
{
    assert(change > 0 || connections != 0);
    connections += change > 0 ? 1U : (uint64_t)-1;
}

uint64_t api_calls_connections(void)
{
    return connections;
}

static size_t index_of(size_t row)
{
    assert(api_table_count() < API_CALLS_ROWS_MAX);
    return row < api_table_count() ? row : api_table_count();
}

void api_calls_note(size_t row, const char *method, unsigned status, uint64_t took_us)
{
    size_t m = 0;
    size_t c = 0;
    while (m + 1 < ARRAY_LEN(methods) && strcmp(methods[m], method) != 0) {
        m++;
    }
    while (c + 1 < ARRAY_LEN(codes) && codes[c] != status) {
        c++;
    }
    counter_add(&answered[index_of(row)][m][c], 1);
    histogram_note_us(&durations[index_of(row)], took_us);
}

size_t api_calls_methods(void)
{
    return ARRAY_LEN(methods);
}

const char *api_calls_method(size_t method)
{
    return methods[method];
}

size_t api_calls_codes(void)
{
    return ARRAY_LEN(codes);
}

unsigned api_calls_code(size_t code)
{
    return codes[code];
}

uint64_t api_calls_count(size_t row, size_t method, size_t code)
{
    return answered[index_of(row)][method][code];
}

const struct histogram_duration *api_calls_duration(size_t row)
{
    return &durations[index_of(row)];
}
