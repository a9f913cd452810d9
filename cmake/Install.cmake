# make install: programs, man pages, completions, the systemd files and a first configuration.
#
# Below /usr and /usr/local the configuration is /etc/lbd/lbd.json, below any other prefix it is
# PREFIX/etc/lbd/lbd.json. One that exists is never touched. The prefix is known only when installing
# (cmake --install --prefix), so lbd.service gets its paths then.

if(TARGET lbd)
  install(TARGETS lbd RUNTIME DESTINATION "${CMAKE_INSTALL_SBINDIR}")
endif()

if(TARGET lbctl)
  install(TARGETS lbctl RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
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
        OUTPUT_FILE \"\${folder}/${name_${shell}}\" COMMAND_ERROR_IS_FATAL ANY)")
  endforeach()
endif()

install(FILES docs/man/lbd.8 DESTINATION "${CMAKE_INSTALL_MANDIR}/man8")
install(FILES docs/man/lbctl.1 DESTINATION "${CMAKE_INSTALL_MANDIR}/man1")
install(FILES docs/man/lbd.json.5 DESTINATION "${CMAKE_INSTALL_MANDIR}/man5")
install(FILES README.md LICENSE DESTINATION "${CMAKE_INSTALL_DOCDIR}" OPTIONAL)
install(FILES docs/reference.md DESTINATION "${CMAKE_INSTALL_DOCDIR}" OPTIONAL)
install(DIRECTORY conf/examples DESTINATION "${CMAKE_INSTALL_DOCDIR}" FILES_MATCHING PATTERN "*.json")
install(FILES systemd/lbd.sysusers DESTINATION lib/sysusers.d RENAME lbd.conf)
install(FILES systemd/lbd.tmpfiles DESTINATION lib/tmpfiles.d RENAME lbd.conf)

install(CODE "
  set(sbindir \"\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_SBINDIR}\")
  set(confdir /etc/lbd)
  if(NOT CMAKE_INSTALL_PREFIX MATCHES \"^/usr(/local)?/?\$\")
    set(confdir \"\${CMAKE_INSTALL_PREFIX}/etc/lbd\")
  endif()

  set(unit \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/lib/systemd/system/lbd.service\")
  file(READ \"${PROJECT_SOURCE_DIR}/systemd/lbd.service\" text)
  string(REPLACE \"@SBINDIR@\" \"\${sbindir}\" text \"\${text}\")
  string(REPLACE \"@CONFDIR@\" \"\${confdir}\" text \"\${text}\")
  message(STATUS \"Installing: \${unit}\")
  file(WRITE \"\${unit}\" \"\${text}\")

  set(conf \"\$ENV{DESTDIR}\${confdir}/lbd.json\")
  if(EXISTS \"\${conf}\")
    message(STATUS \"Kept: \${conf}\")
  elseif(EXISTS \"${PROJECT_SOURCE_DIR}/conf/lbd.json\")
    message(STATUS \"Installing: \${conf}\")
    file(READ \"${PROJECT_SOURCE_DIR}/conf/lbd.json\" text)
    file(WRITE \"\${conf}\" \"\${text}\")
  endif()")

# The documents are tested beside the rest.
if(LB_TESTS)
  enable_testing()
  file(GLOB document_tests CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/tests/docs/*.sh")
  foreach(test IN LISTS document_tests)
    get_filename_component(name "${test}" NAME_WE)
    add_test(NAME docs/${name} COMMAND sh "${test}" WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}")
    set_tests_properties(docs/${name} PROPERTIES
      LABELS docs TIMEOUT 120 SKIP_RETURN_CODE 77
      ENVIRONMENT "LBD_BIN=${CMAKE_RUNTIME_OUTPUT_DIRECTORY}/lbd;LBCTL_BIN=${CMAKE_RUNTIME_OUTPUT_DIRECTORY}/lbctl;LBD_BUILD=${CMAKE_BINARY_DIR}")
  endforeach()
endif()
