#define H1_HEAD_SCALAR
#include "tests/unit/head_scalar.h"

#define h1_head_request  head_scalar_request
#define h1_head_response head_scalar_response
#include "lbd/http/h1_head.c"
