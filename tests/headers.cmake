# One C file per header that includes nothing else: a header that leans on what its users happened to
# include before does not compile.
file(GLOB_RECURSE headers RELATIVE "${PROJECT_SOURCE_DIR}" CONFIGURE_DEPENDS
  "${PROJECT_SOURCE_DIR}/lbd/*.h" "${PROJECT_SOURCE_DIR}/conf/*.h"
  "${PROJECT_SOURCE_DIR}/api/*.h" "${PROJECT_SOURCE_DIR}/ctl/*.h"
  "${PROJECT_SOURCE_DIR}/tests/*.h")

set(alone "")
foreach(header IN LISTS headers)
  set(source "${CMAKE_BINARY_DIR}/headers/${header}.c")
  file(CONFIGURE OUTPUT "${source}" @ONLY
    CONTENT "#include \"${header}\"\ntypedef int header_compiles_alone;\n")
  list(APPEND alone "${source}")
endforeach()

if(alone)
  add_library(lb_headers OBJECT EXCLUDE_FROM_ALL ${alone})
  target_include_directories(lb_headers PRIVATE "${PROJECT_SOURCE_DIR}" "${LB_GENERATED_DIR}")
  target_compile_definitions(lb_headers PRIVATE ${LB_DEFINITIONS})
  target_link_libraries(lb_headers PRIVATE lb_warnings
    PkgConfig::EVENT PkgConfig::CJSON PkgConfig::MICROHTTPD PkgConfig::CARES PkgConfig::CRYPTO
    PkgConfig::CHECK)
  set_target_properties(lb_headers PROPERTIES INTERPROCEDURAL_OPTIMIZATION OFF)
  add_dependencies(lb_headers lb_version)
  add_test(NAME headers COMMAND "${CMAKE_COMMAND}" --build "${CMAKE_BINARY_DIR}" --target lb_headers)
  set_tests_properties(headers PROPERTIES LABELS headers TIMEOUT 300)
endif()
