# Each tests/integration/test_*.py is one ctest test; it finds the programs by LBD_BIN and LBCTL_BIN.
# Those in LB_TSAN_JOURNEYS run under the thread sanitizer too, for they cross threads.
set(LB_TSAN_JOURNEYS test_change_doors test_change_live test_health test_kill_server test_signals
  test_api_admin_state test_api_batch test_change_large test_connections test_drain test_events
  test_operate_storm test_overrides test_metrics test_metrics_scrape test_revisions test_request_body
  test_request_balance test_tls_again test_upstream_tls test_mail_cache test_mail_session test_queue)

# Those in LB_MEMORY_JOURNEYS measure memory, which sanitizers do not give back: of the release too.
set(LB_MEMORY_JOURNEYS test_events test_h2_flood test_h2_raw_server test_metrics_scrape test_tcp)

file(GLOB journeys CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/integration/test_*.py")
foreach(journey IN LISTS journeys)
  get_filename_component(name "${journey}" NAME_WE)
  add_test(NAME integration/${name}
    COMMAND ${python} -B -m unittest -v ${name}
    WORKING_DIRECTORY "${CMAKE_CURRENT_SOURCE_DIR}/integration")
  set(labels integration)
  if(name IN_LIST LB_TSAN_JOURNEYS)
    list(APPEND labels tsan)
  endif()
  if(name IN_LIST LB_MEMORY_JOURNEYS)
    list(APPEND labels memory)
  endif()
  set_tests_properties(integration/${name} PROPERTIES
    LABELS "${labels}" TIMEOUT 1500
    ENVIRONMENT "LBD_BIN=${CMAKE_RUNTIME_OUTPUT_DIRECTORY}/lbd;LBCTL_BIN=${CMAKE_RUNTIME_OUTPUT_DIRECTORY}/lbctl;LBD_SANITIZE=${LB_SANITIZE};CLIENTS_BUILD=${CMAKE_BINARY_DIR}/clients")
endforeach()
