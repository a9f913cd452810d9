# The benchmark's programs (tests/bench/bench.py drives them; `make bench`). Compiled with every
# ordinary build so that they do not rot; never with a sanitizer.
file(GLOB benches CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/bench/bench_*.c")
foreach(bench IN LISTS benches)
  get_filename_component(name "${bench}" NAME_WE)
  lb_test_helpers(helpers "${bench}")
  lb_test_rooms(rooms "${bench}" "${name}")
  add_executable(${name} "${bench}" ${helpers})
  target_compile_definitions(${name} PRIVATE ${LB_DEFINITIONS})
  target_include_directories(${name} PRIVATE "${PROJECT_SOURCE_DIR}")
  target_link_libraries(${name} PRIVATE ${rooms} lb_warnings)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bench")
endforeach()

file(GLOB counter CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/bench/malloc_count.c")
if(counter)
  add_library(malloc_count MODULE ${counter})
  target_compile_definitions(malloc_count PRIVATE ${LB_DEFINITIONS})
  target_link_libraries(malloc_count PRIVATE lb_warnings Threads::Threads)
  set_target_properties(malloc_count PROPERTIES
    LIBRARY_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bench" INTERPROCEDURAL_OPTIMIZATION OFF)
endif()
