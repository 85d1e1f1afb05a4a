# find_package(tealight) defines the target tealight::tealight, and tealight_MODEL_SOURCES: the models of this folder as C.

get_filename_component(tealight_FOLDER "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)

if(NOT TARGET tealight::tealight)
  add_library(tealight::tealight STATIC IMPORTED)
  set_target_properties(tealight::tealight PROPERTIES
    IMPORTED_LOCATION "${tealight_FOLDER}/lib/libtealight.a"
    INTERFACE_INCLUDE_DIRECTORIES "${tealight_FOLDER}/include")
endif()

file(GLOB tealight_MODEL_SOURCES "${tealight_FOLDER}/src/*_model.c")
