# tests/fuzz/fuzz_<stem>.c defines LLVMFuzzerTestOneInput(). With LB_FUZZ it becomes a libFuzzer
# program; otherwise standalone.c drives it over its corpus and a bounded number of mutations.
# What names libnghttp2, the oracle of HTTP/2, is linked to it; the product never is (layers.py).
if(NOT TARGET PkgConfig::NGHTTP2)
  pkg_check_modules(NGHTTP2 REQUIRED IMPORTED_TARGET libnghttp2)
endif()

file(GLOB fuzzers CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/fuzz/fuzz_*.c")
foreach(fuzzer IN LISTS fuzzers)
  get_filename_component(name "${fuzzer}" NAME_WE)
  string(REGEX REPLACE "^fuzz_" "" stem "${name}")
  set(corpus "${CMAKE_CURRENT_SOURCE_DIR}/fuzz/corpus/${stem}")
  if(LB_FUZZ)
    lb_test_program(${name} "${fuzzer}")
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
    set(found "${CMAKE_BINARY_DIR}/found/${stem}")
    file(MAKE_DIRECTORY "${found}")
    set(known "")
    if(EXISTS "${corpus}")
      set(known "${corpus}")
    endif()
    add_test(NAME ${name}
      COMMAND ${name} -seed=1 -runs=200000 -max_total_time=30 -print_final_stats=1
              "-artifact_prefix=${found}/" "${found}" ${known})
  else()
    lb_test_program(${name} "${fuzzer}" "${CMAKE_CURRENT_SOURCE_DIR}/fuzz/standalone.c")
    add_test(NAME ${name} COMMAND ${name} "${corpus}")
  endif()
  file(STRINGS "${fuzzer}" oracle REGEX "^#include (<nghttp2/|\"tests/unit/h2_oracle.h\")")
  if(oracle)
    target_link_libraries(${name} PRIVATE PkgConfig::NGHTTP2)
  endif()
  set_tests_properties(${name} PROPERTIES LABELS fuzz TIMEOUT 120)
endforeach()
