#include "tests/unit/head_counted.h"

uint64_t head_counted_bytes;

#define H1_SCAN_TALLY(bytes) (head_counted_bytes += (bytes))
#define h1_head_request      head_counted_request
#define h1_head_response     head_counted_response
#include "lbd/http/h1_head.c"
