# make install: programs, man pages, completions, the files for systemd and logrotate, and a first
# configuration.
#
# Below /usr and /usr/local the configuration is /etc/lbd/lbd.json, below any other prefix it is
# PREFIX/etc/lbd/lbd.json. One that exists is never touched, nor is the logrotate file. The prefix is known only when installing
# (cmake --install --prefix), so lbd.service gets its paths then.

# Two components, which are two packages (Package.cmake): `lbd`, and `lbctl`, which runs alone on
# other machines.

if(TARGET lbd)
  install(TARGETS lbd RUNTIME DESTINATION "${CMAKE_INSTALL_SBINDIR}" COMPONENT lbd)
endif()

if(TARGET lbctl)
  install(TARGETS lbctl RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}" COMPONENT lbctl)
  # lbctl writes its own completions
  foreach(shell bash zsh)
    set(folder_bash "${CMAKE_INSTALL_DATADIR}/bash-completion/completions")
    set(folder_zsh "${CMAKE_INSTALL_DATADIR}/zsh/site-functions")
    set(name_bash lbctl)
    set(name_zsh _lbctl)
    install(CODE "
      set(folder \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${folder_${shell}}\")
      file(MAKE_DIRECTORY \"\${folder}\")
      message(STATUS \"Installing: \${folder}/${name_${shell}}\")
      execute_process(COMMAND \"$<TARGET_FILE:lbctl>\" completion ${shell}
        OUTPUT_FILE \"\${folder}/${name_${shell}}\" COMMAND_ERROR_IS_FATAL ANY)" COMPONENT lbctl)
  endforeach()
endif()

install(FILES docs/man/lbd.8 DESTINATION "${CMAKE_INSTALL_MANDIR}/man8" COMPONENT lbd)
install(FILES docs/man/lbctl.1 DESTINATION "${CMAKE_INSTALL_MANDIR}/man1" COMPONENT lbctl)
install(FILES docs/man/lbd.json.5 DESTINATION "${CMAKE_INSTALL_MANDIR}/man5" COMPONENT lbd)
install(FILES README.md LICENSE docs/reference.md docs/metrics.md docs/resilience.md docs/api.md systemd/notify-reload.conf
  DESTINATION "${CMAKE_INSTALL_DOCDIR}" COMPONENT lbd OPTIONAL)
install(FILES contrib/prometheus/lbd-alerts.yml contrib/prometheus/lbd-alerts-test.yml
  contrib/grafana/lbd.json contrib/grafana/make_dashboard.py
  DESTINATION "${CMAKE_INSTALL_DOCDIR}/contrib" COMPONENT lbd)
install(DIRECTORY conf/examples DESTINATION "${CMAKE_INSTALL_DOCDIR}" COMPONENT lbd
  FILES_MATCHING PATTERN "*.json")
install(FILES systemd/lbd.sysusers DESTINATION lib/sysusers.d RENAME lbd.conf COMPONENT lbd)
install(FILES systemd/lbd.tmpfiles DESTINATION lib/tmpfiles.d RENAME lbd.conf COMPONENT lbd)
install(FILES systemd/lbd.socket DESTINATION lib/systemd/system COMPONENT lbd)

install(CODE "
  set(sbindir \"\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_SBINDIR}\")
  set(bindir \"\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_BINDIR}\")
  set(etc /etc)
  if(NOT CMAKE_INSTALL_PREFIX MATCHES \"^/usr(/local)?/?\$\")
    set(etc \"\${CMAKE_INSTALL_PREFIX}/etc\")
  endif()
  set(confdir \"\${etc}/lbd\")

  set(unit \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/lib/systemd/system/lbd.service\")
  file(READ \"${PROJECT_SOURCE_DIR}/systemd/lbd.service\" text)
  string(REPLACE \"@SBINDIR@\" \"\${sbindir}\" text \"\${text}\")
  string(REPLACE \"@BINDIR@\" \"\${bindir}\" text \"\${text}\")
  string(REPLACE \"@CONFDIR@\" \"\${confdir}\" text \"\${text}\")
  message(STATUS \"Installing: \${unit}\")
  file(WRITE \"\${unit}\" \"\${text}\")

  # what a person may have changed is kept
  file(MAKE_DIRECTORY \"\$ENV{DESTDIR}\${confdir}/conf.d\")
  foreach(pair \"conf/lbd.json=\${confdir}/lbd.json\" \"systemd/lbd.logrotate=\${etc}/logrotate.d/lbd\")
    string(REGEX REPLACE \"=.*\" \"\" from \"\${pair}\")
    string(REGEX REPLACE \".*=\" \"\$ENV{DESTDIR}\" to \"\${pair}\")
    if(EXISTS \"\${to}\")
      message(STATUS \"Kept: \${to}\")
    else()
      message(STATUS \"Installing: \${to}\")
      file(READ \"${PROJECT_SOURCE_DIR}/\${from}\" text)
      file(WRITE \"\${to}\" \"\${text}\")
    endif()
  endforeach()" COMPONENT lbd)

# The documents are tested beside the rest.
if(LB_TESTS)
  enable_testing()
  file(GLOB document_tests CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/tests/docs/test_*.sh")
  foreach(test IN LISTS document_tests)
    get_filename_component(name "${test}" NAME_WE)
    add_test(NAME docs/${name} COMMAND sh "${test}" WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}")
    set_tests_properties(docs/${name} PROPERTIES
      LABELS docs TIMEOUT 120
      ENVIRONMENT "LBD_BIN=${CMAKE_RUNTIME_OUTPUT_DIRECTORY}/lbd;LBCTL_BIN=${CMAKE_RUNTIME_OUTPUT_DIRECTORY}/lbctl;LBD_BUILD=${CMAKE_BINARY_DIR}")
  endforeach()
endif()
