# cpack -G DEB in the build folder: a Debian package for each component of an installation, libpixloss<soversion>, libpixloss-dev
# and pixloss, the program. With CUDA they are libpixloss<soversion>-cuda, libpixloss-cuda-dev and pixloss-cuda, which take the
# place of the others and depend on nothing more: CUDA's runtime is in them, and finds the driver, if there is one, by itself.
# For multiarch's folders configure with -DCMAKE_INSTALL_PREFIX=/usr. The maintainer: cpack -D CPACK_PACKAGE_CONTACT="...".
set(CPACK_GENERATOR DEB)
set(CPACK_VERBATIM_VARIABLES ON)
set(CPACK_PACKAGE_VENDOR pixloss)
set(CPACK_PACKAGE_CONTACT "pixloss maintainers <maintainers@pixloss.invalid>" CACHE STRING "Maintainer of the packages")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_COMPONENTS_ALL)
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "") # or it would be put before each package's own
set(about "In one pass over memory: SSIM and its parts, pixel, edge and smoothness
losses, perceptual distances, and any weighted sum of them, on CPUs and
NVIDIA GPUs.")
set(kind)
if(PIXLOSS_CUDA)
  set(kind -cuda)
  string(APPEND about "\nThis build has the CUDA kernels.")
endif()
file(WRITE ${PROJECT_BINARY_DIR}/copyright "pixloss, image losses and their exact gradients
Copyright (c) 2026 the pixloss developers

Licensed under the Apache License, Version 2.0, which is in /usr/share/common-licenses/Apache-2.0 on Debian systems.
")

# Debian's changelog, of one entry: CHANGELOG.md has what changed. Without gzip (which dpkg asks for) there is none.
find_program(PIXLOSS_GZIP gzip)
mark_as_advanced(PIXLOSS_GZIP)
function(write_changelog package)
  set(folder ${PROJECT_BINARY_DIR}/debian/${package})
  file(MAKE_DIRECTORY ${folder})
  file(WRITE ${folder}/changelog "${package} (${PROJECT_VERSION}) unstable; urgency=medium

  * Version ${PROJECT_VERSION}; see CHANGELOG.md of the source.

 -- ${CPACK_PACKAGE_CONTACT}  Sat, 21 Nov 2026 12:00:00 +0000
")
  execute_process(COMMAND ${PIXLOSS_GZIP} -9nf ${folder}/changelog COMMAND_ERROR_IS_FATAL ANY)
endfunction()

# debian_package(COMPONENT STEM END SECTION SUMMARY FIELD value ...): the package STEM[-cuda]END, in place of STEMEND.
macro(debian_package component stem end section summary)
  string(TOUPPER ${component} COMPONENT)
  list(APPEND CPACK_COMPONENTS_ALL ${component})
  set(package ${stem}${kind}${end})
  set(CPACK_DEBIAN_${COMPONENT}_PACKAGE_NAME ${package})
  set(CPACK_DEBIAN_${COMPONENT}_PACKAGE_SECTION ${section})
  set(CPACK_DEBIAN_${COMPONENT}_DESCRIPTION "${summary}\n${about}")
  if(kind)
    set(CPACK_DEBIAN_${COMPONENT}_PACKAGE_PROVIDES "${stem}${end} (= ${PROJECT_VERSION})")
    set(CPACK_DEBIAN_${COMPONENT}_PACKAGE_CONFLICTS ${stem}${end})
    set(CPACK_DEBIAN_${COMPONENT}_PACKAGE_REPLACES ${stem}${end})
  endif()
  # Of a package alone: not of cmake --install.
  install(FILES ${PROJECT_BINARY_DIR}/copyright DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/${package} COMPONENT ${component}
          EXCLUDE_FROM_ALL)
  if(PIXLOSS_GZIP)
    write_changelog(${package})
    install(FILES ${PROJECT_BINARY_DIR}/debian/${package}/changelog.gz DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/${package}
            COMPONENT ${component} EXCLUDE_FROM_ALL)
  endif()
endmacro()

if(PIXLOSS_SHARED)
  get_target_property(soversion pixloss_shared SOVERSION)
  debian_package(library libpixloss${soversion} "" libs "Image losses and their exact gradients")
  set(CPACK_DEBIAN_LIBRARY_PACKAGE_SHLIBDEPS ON)
  # What links the library depends on the name without -cuda, which both provide.
  set(control_folder ${PROJECT_BINARY_DIR}/debian)
  file(WRITE ${control_folder}/shlibs "libpixloss ${soversion} libpixloss${soversion} (>= ${PROJECT_VERSION})\n")
  file(WRITE ${control_folder}/triggers "activate-noawait ldconfig\n")
  set(CPACK_DEBIAN_LIBRARY_PACKAGE_CONTROL_EXTRA ${control_folder}/shlibs ${control_folder}/triggers)
  set(library_package "${package} (= ${PROJECT_VERSION})")
endif()
debian_package(development libpixloss -dev libdevel "Image losses and their exact gradients: headers, static library")
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS ${library_package})
if(PIXLOSS_JANSSON) # what the static library needs and no compiler brings
  set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_RECOMMENDS libjansson-dev)
endif()
if(PIXLOSS_CUDA)
  set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SUGGESTS nvidia-cuda-toolkit)
endif()
if(PIXLOSS_BUILD_CLI)
  debian_package(program pixloss "" graphics "Compare images, recover them by descent on a loss, measure losses")
  set(CPACK_DEBIAN_PROGRAM_PACKAGE_SHLIBDEPS ON)
endif()
if(PIXLOSS_ONEDNN) # which is looked for at run time
  set(CPACK_DEBIAN_LIBRARY_PACKAGE_RECOMMENDS libdnnl2)
  set(CPACK_DEBIAN_PROGRAM_PACKAGE_RECOMMENDS libdnnl2)
endif()
include(CPack)
