# lbd_version.h: LBD_VERSION, "0.1.0" or "0.1.0+g1a2b3c4d5e[.dirty]" inside a git work tree. Written
# at every build, and only when it changed, so that a commit recompiles the few files that name it.

set(LB_GENERATED_DIR "${CMAKE_BINARY_DIR}/generated")
file(MAKE_DIRECTORY "${LB_GENERATED_DIR}")

# Linux only: the whole tree sees the same libc. Empty, so that a file that says
# `#define _GNU_SOURCE` itself does not redefine it.
set(LB_DEFINITIONS "_GNU_SOURCE=")

add_custom_target(lb_version
  COMMAND "${CMAKE_COMMAND}"
    "-DSOURCE=${PROJECT_SOURCE_DIR}" "-DVERSION=${PROJECT_VERSION}"
    "-DHEADER=${LB_GENERATED_DIR}/lbd_version.h"
    -P "${PROJECT_SOURCE_DIR}/cmake/WriteVersion.cmake"
  BYPRODUCTS "${LB_GENERATED_DIR}/lbd_version.h"
  COMMENT ""
  VERBATIM)
