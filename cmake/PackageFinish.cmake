# Run by cpack when the files lie in CPACK_TEMPORARY_DIRECTORY/<component>, before they are packed:
# what Debian asks for and `make install` does not do.

get_filename_component(source "${CMAKE_CURRENT_LIST_DIR}" DIRECTORY)

function(compress file)
  execute_process(COMMAND gzip -9nf "${file}" COMMAND_ERROR_IS_FATAL ANY)
endfunction()

foreach(component lbd lbctl)
  set(root "${CPACK_TEMPORARY_DIRECTORY}/${component}")
  set(doc "${root}/usr/share/doc/${component}")

  file(GLOB_RECURSE pages "${root}/usr/share/man/*.[1-9]")
  foreach(page IN LISTS pages)
    compress("${page}")
  endforeach()

  file(MAKE_DIRECTORY "${doc}")
  file(REMOVE "${doc}/LICENSE") # it is in copyright
  configure_file("${source}/packaging/debian/copyright" "${doc}/copyright" COPYONLY)
  configure_file("${source}/packaging/debian/changelog" "${doc}/changelog.Debian" COPYONLY)
  compress("${doc}/changelog.Debian")

  # zsh of Debian looks elsewhere than zsh of /usr/local
  if(EXISTS "${root}/usr/share/zsh/site-functions")
    file(RENAME "${root}/usr/share/zsh/site-functions" "${root}/usr/share/zsh/vendor-completions")
  endif()

  file(GLOB tops "${root}/*")
  file(CHMOD_RECURSE ${tops} FILE_PERMISSIONS OWNER_READ OWNER_WRITE GROUP_READ WORLD_READ
    DIRECTORY_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
  file(GLOB programs "${root}/usr/bin/*" "${root}/usr/sbin/*")
  file(CHMOD ${programs} PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ
    WORLD_EXECUTE)
endforeach()
