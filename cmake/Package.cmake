# make deb: Debian packages by CPack, with what packaging/debian/ says about them.
#
#     lbd          the daemon, its units, users, configuration and documents
#     lbctl        the command, alone, for machines that only administer
#     *-dbgsym     symbols for gdb; found by build id
#
# Files are those of `make install`; PackageFinish.cmake does to them what only Debian asks for.
# Dependencies are read out of the programs (dpkg-shlibdeps).

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME lbd)
set(CPACK_PACKAGE_VENDOR "The lbd authors")
set(CPACK_PACKAGE_CONTACT "The lbd authors <lbd@lbd.example>")
set(CPACK_PACKAGE_VERSION "${PROJECT_VERSION}")
set(CPACK_VERBATIM_VARIABLES ON)
set(CPACK_STRIP_FILES OFF) # the symbols go into packages of their own

set(CPACK_SET_DESTDIR ON) # /etc lies outside of the prefix
set(CPACK_INSTALL_PREFIX /usr)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_PACKAGE_DIRECTORY "${CMAKE_BINARY_DIR}/deb")
set(CPACK_PRE_BUILD_SCRIPTS "${PROJECT_SOURCE_DIR}/cmake/PackageFinish.cmake")
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
  OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)

set(CPACK_COMPONENTS_ALL lbd lbctl)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_DEBUGINFO_PACKAGE ON)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)

set(debian "${PROJECT_SOURCE_DIR}/packaging/debian")
set(CPACK_DEBIAN_LBD_PACKAGE_NAME lbd)
set(CPACK_DEBIAN_LBD_PACKAGE_SECTION net)
set(CPACK_DEBIAN_LBD_PACKAGE_DEPENDS
  "lbctl (= ${PROJECT_VERSION}-${CPACK_DEBIAN_PACKAGE_RELEASE}), init-system-helpers (>= 1.54~), systemd | systemd-standalone-sysusers, systemd | systemd-standalone-tmpfiles")
set(CPACK_DEBIAN_LBD_PACKAGE_SUGGESTS "logrotate, prometheus")
set(CPACK_DEBIAN_LBD_PACKAGE_CONTROL_EXTRA
  "${debian}/postinst;${debian}/prerm;${debian}/postrm;${debian}/conffiles")
set(CPACK_COMPONENT_LBD_DESCRIPTION
  "load balancer that is reconfigured while it runs
lbd takes HTTP requests on its listeners, sends each to a healthy server and
carries the answer back, while a REST API changes where the next one goes. A
change is accepted whole or refused whole, it is saved before it takes effect,
and when it is answered every worker runs it. There is no reload: connections
that a change does not concern do not notice it.")

set(CPACK_DEBIAN_LBCTL_PACKAGE_NAME lbctl)
set(CPACK_DEBIAN_LBCTL_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_LBCTL_PACKAGE_SUGGESTS "bash-completion")
set(CPACK_COMPONENT_LBCTL_DESCRIPTION
  "command for the load balancer lbd
lbctl shows what an lbd does and changes it over its REST API: servers, pools,
routes and listeners, weights and drains, whole configurations with what would
be different, history and rollback. Completions for bash and zsh.")

include(CPack)

# Only programs as they are shipped are packed and tested.
if(LB_TESTS AND NOT LB_SANITIZE AND NOT LB_COVERAGE)
  enable_testing()
  file(GLOB package_tests CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/tests/package/test_*.py")
  foreach(test IN LISTS package_tests)
    get_filename_component(name "${test}" NAME_WE)
    add_test(NAME package/${name} COMMAND /usr/bin/python3 -B -m unittest -v ${name}
      WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}/tests/package")
    set_tests_properties(package/${name} PROPERTIES
      LABELS package TIMEOUT 300 ENVIRONMENT "LBD_BUILD=${CMAKE_BINARY_DIR}")
  endforeach()
endif()
