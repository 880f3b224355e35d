# cmake --install: library, headers, CMake package, pkg-config file; the program's own are in cli/CMakeLists.txt. The components are
# those of the Debian packages (PixlossDebian.cmake): library, development, program.
include(CMakePackageConfigHelpers)
set(package_folder ${CMAKE_INSTALL_LIBDIR}/cmake/pixloss)

set_target_properties(pixloss PROPERTIES EXPORT_NAME static)
set(libraries pixloss)
if(PIXLOSS_SHARED)
  set_target_properties(pixloss_shared PROPERTIES EXPORT_NAME shared)
  list(APPEND libraries pixloss_shared)
endif()
install(TARGETS ${libraries} EXPORT pixlossTargets
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT development
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT library NAMELINK_COMPONENT development
  INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/pixloss DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT development)

# Until version 1 a minor version may change what is compiled into a program.
set(compatibility SameMajorVersion)
if(PROJECT_VERSION_MAJOR EQUAL 0)
  set(compatibility SameMinorVersion)
endif()
install(EXPORT pixlossTargets NAMESPACE pixloss:: DESTINATION ${package_folder} COMPONENT development)
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/pixlossConfig.cmake.in ${PROJECT_BINARY_DIR}/pixlossConfig.cmake
                              INSTALL_DESTINATION ${package_folder} NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/pixlossConfigVersion.cmake COMPATIBILITY ${compatibility})
install(FILES ${PROJECT_BINARY_DIR}/pixlossConfig.cmake ${PROJECT_BINARY_DIR}/pixlossConfigVersion.cmake
        DESTINATION ${package_folder} COMPONENT development)

# The pkg-config file finds the rest from where it lies, so that an installed folder may be moved.
set(pc_folder ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
file(RELATIVE_PATH prefix_from_pc /prefix/${pc_folder} /prefix)
string(REGEX REPLACE "/$" "" prefix_from_pc ${prefix_from_pc})
get_property(libs_private GLOBAL PROPERTY PIXLOSS_SYSTEM_LIBRARIES)
list(TRANSFORM libs_private PREPEND -l)
list(JOIN libs_private " " libs_private)
set(cuda_variable)
if(PIXLOSS_CUDA) # a variable, for machines whose toolkit is elsewhere: pkg-config --define-variable=cuda_libdir=...
  get_filename_component(cuda_libdir ${PIXLOSS_CUDA_RUNTIME} DIRECTORY)
  set(cuda_variable "cuda_libdir=${cuda_libdir}\n")
  set(libs_private "-L\${cuda_libdir} -lcudart_static -lrt ${libs_private}")
endif()
configure_file(${CMAKE_CURRENT_LIST_DIR}/pixloss.pc.in ${PROJECT_BINARY_DIR}/pixloss.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/pixloss.pc DESTINATION ${pc_folder} COMPONENT development)
