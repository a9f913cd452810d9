# Rooms: folders that become static libraries.
#
#   lb_room(<name> <folder> [libraries ...])
#       makes lb_<name> of <folder>/*.c and links it to every room made before it.
#   lb_side_room(<name> <folder> ROOMS <names> [EXCEPT <files>])
#       the same for a room beside the row, linked only to the rooms it names.
#   lb_program(<name> <main.c> <libraries ...>)
#       an executable, once its source exists.
#
# A room without a source yet is an INTERFACE library: it carries its dependencies and builds nothing.

set(LB_ROOMS "" CACHE INTERNAL "the row of rooms, left to right")

function(lb_room_library name folder)
  cmake_parse_arguments(room "" "" "LINK;EXCEPT" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/${folder}/*.c")
  foreach(except IN LISTS room_EXCEPT)
    list(REMOVE_ITEM sources "${PROJECT_SOURCE_DIR}/${folder}/${except}")
  endforeach()

  if(sources)
    add_library(lb_${name} STATIC ${sources})
    target_include_directories(lb_${name} PUBLIC "${PROJECT_SOURCE_DIR}" "${LB_GENERATED_DIR}")
    target_compile_definitions(lb_${name} PUBLIC ${LB_DEFINITIONS})
    target_link_libraries(lb_${name} PUBLIC ${room_LINK} PRIVATE lb_warnings)
    add_dependencies(lb_${name} lb_version)
  else()
    add_library(lb_${name} INTERFACE)
    target_include_directories(lb_${name} INTERFACE "${PROJECT_SOURCE_DIR}" "${LB_GENERATED_DIR}")
    target_compile_definitions(lb_${name} INTERFACE ${LB_DEFINITIONS})
    target_link_libraries(lb_${name} INTERFACE ${room_LINK})
  endif()
endfunction()

function(lb_room name folder)
  # Right to left: a static library must be named before those it leans on.
  set(left ${LB_ROOMS})
  list(REVERSE left)
  list(TRANSFORM left PREPEND lb_)
  lb_room_library(${name} ${folder} LINK ${left} ${ARGN})
  set(LB_ROOMS ${LB_ROOMS} ${name} CACHE INTERNAL "the row of rooms, left to right")
endfunction()

function(lb_side_room name folder)
  cmake_parse_arguments(room "" "" "ROOMS;EXCEPT" ${ARGN})
  list(REVERSE room_ROOMS)
  list(TRANSFORM room_ROOMS PREPEND lb_)
  lb_room_library(${name} ${folder} LINK ${room_ROOMS} EXCEPT ${room_EXCEPT})
endfunction()

function(lb_program name source)
  file(GLOB found CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/${source}")
  if(found)
    add_executable(${name} ${found})
    target_link_libraries(${name} PRIVATE ${ARGN} lb_warnings)
    add_dependencies(${name} lb_version)
  endif()
endfunction()
