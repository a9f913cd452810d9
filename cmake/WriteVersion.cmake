# cmake -DSOURCE=<tree> -DVERSION=<x.y.z> -DHEADER=<file> -P WriteVersion.cmake
set(full "${VERSION}")
execute_process(
  COMMAND git --no-optional-locks -C "${SOURCE}" describe --always --dirty=.dirty --abbrev=10
          --exclude=*
  OUTPUT_VARIABLE commit ERROR_QUIET OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE failed)
if(failed EQUAL 0 AND commit)
  string(APPEND full "+g${commit}")
endif()

set(text "/* Written by the build. */\n#ifndef LBD_VERSION_H\n#define LBD_VERSION_H\n\n")
string(APPEND text "#define LBD_VERSION \"${full}\"\n\n#endif\n")

set(old "")
if(EXISTS "${HEADER}")
  file(READ "${HEADER}" old)
endif()
if(NOT old STREQUAL text)
  file(WRITE "${HEADER}" "${text}")
endif()
