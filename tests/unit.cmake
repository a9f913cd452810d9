pkg_check_modules(CHECK REQUIRED IMPORTED_TARGET check)

# Modules that more than one thread touches: their tests run under the thread sanitizer too.
set(LB_THREADED
  tls_front mailbox log lease job random now close_reason counters histogram log_writer access_log loop
  resolve learned server pool tls_client upstream_conn snapshot_retire worker worker_publish worker_adopt worker_drain control
  control_apply control_ahead control_queue control_confirm control_admin control_overrides control_check
  control_drains control_health control_outlier control_resolve api api_batch api_config api_connections api_events api_revisions
  api_scrape mail_users mail_bans mail_answers key_table key_top rate_buckets shared_text)

file(GLOB tests CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/unit/test_*.c")
foreach(test IN LISTS tests)
  get_filename_component(name "${test}" NAME_WE)
  string(REGEX REPLACE "^test_" "" stem "${name}")
  lb_test_program(${name} "${test}")
  target_link_libraries(${name} PRIVATE PkgConfig::CHECK)
  add_test(NAME ${name} COMMAND ${name} WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}")
  set(labels unit)
  if(stem IN_LIST LB_THREADED)
    list(APPEND labels tsan)
  endif()
  set_tests_properties(${name} PROPERTIES
    LABELS "${labels}" ENVIRONMENT "${unit_env}" TIMEOUT 900)
endforeach()

# It reads again what coders wrote.
target_compile_definitions(test_coder PRIVATE ${coder_flags})
if("LB_BROTLI=1" IN_LIST coder_flags)
  pkg_check_modules(BROTLIDEC REQUIRED IMPORTED_TARGET libbrotlidec)
  target_link_libraries(test_coder PRIVATE PkgConfig::BROTLIDEC)
endif()
