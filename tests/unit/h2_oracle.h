/*
 * h2_oracle - what a peer's frames come to, in lbd and in libnghttp2, frame by frame.
 *
 * For fuzz_h2_oracle (the peer is a client) and fuzz_h2_oracle_server. Both sides take a greeting,
 * and facing a server they have asked for four things; then the frames come.
 *
 * Whatever libnghttp2 refuses, as an error of the connection or of a stream, lbd refuses, too; what
 * lbd refuses with an error of the connection, libnghttp2 does not take as good either. Where they
 * may differ, because the RFC leaves it open or lbd is stricter on purpose, is said in may_differ.
 * From there on their states are no longer the same, and the run is over.
 *
 * Nobody answers requests: streams stay open until one side resets them.
 *
 * Threads: the main thread.
 */
#ifndef TESTS_UNIT_H2_ORACLE_H
#define TESTS_UNIT_H2_ORACLE_H

#include "lbd/base/slice.h"
#include "lbd/http/h2_conn.h"

/* `role` is lbd's. Ends the program when the two do not agree. */
void h2_oracle_run(enum h2_role role, struct slice frames);

#endif
