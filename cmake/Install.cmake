# make install: programs, man pages, the systemd files, the example configuration. Everything is
# optional here: a tree that does not hold a file yet still configures.

foreach(program lbd lbctl)
  if(TARGET ${program})
    install(TARGETS ${program} RUNTIME DESTINATION "${CMAKE_INSTALL_SBINDIR}")
  endif()
endforeach()
