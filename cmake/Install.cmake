# make install: the programs, their man pages, the systemd files, the examples. What a tree does not hold
# yet is left out.

if(TARGET lbd)
  install(TARGETS lbd RUNTIME DESTINATION "${CMAKE_INSTALL_SBINDIR}")
endif()
if(TARGET lbctl)
  install(TARGETS lbctl RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
endif()

file(GLOB pages CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/man/*.[1-8]")
foreach(page IN LISTS pages)
  string(REGEX MATCH "[1-8]$" section "${page}")
  install(FILES "${page}" DESTINATION "${CMAKE_INSTALL_MANDIR}/man${section}")
endforeach()

file(GLOB examples CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/conf/examples/*.json")
install(FILES LICENSE ${examples} DESTINATION "${CMAKE_INSTALL_DOCDIR}")

# The unit names /usr/sbin/lbd; installed elsewhere it must name that. The prefix is known only when
# installing, so the text is changed there.
file(GLOB unit CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/systemd/lbd.service")
if(unit)
  install(CODE "
    file(READ \"${unit}\" text)
    string(REPLACE \"/usr/sbin/lbd\" \"\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_SBINDIR}/lbd\" text \"\${text}\")
    file(WRITE \"${CMAKE_BINARY_DIR}/lbd.service\" \"\${text}\")")
  install(FILES "${CMAKE_BINARY_DIR}/lbd.service" DESTINATION lib/systemd/system)
endif()
foreach(kind sysusers tmpfiles)
  if(EXISTS "${PROJECT_SOURCE_DIR}/systemd/lbd.${kind}")
    install(FILES "${PROJECT_SOURCE_DIR}/systemd/lbd.${kind}"
      DESTINATION lib/${kind}.d RENAME lbd.conf)
  endif()
endforeach()
if(EXISTS "${PROJECT_SOURCE_DIR}/systemd/lbd.socket")
  install(FILES "${PROJECT_SOURCE_DIR}/systemd/lbd.socket" DESTINATION lib/systemd/system)
endif()
