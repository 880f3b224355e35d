# NVIDIA's compiler for src/cuda and examples. Not enable_language(CUDA): that would link every program that uses the library as
# C++ by nvcc, and asks the compiler questions for ten seconds that nobody here needs answered.
#   PIXLOSS_CUDA            whether to build it: as asked for, or where there are nvcc, the runtime's headers and its static library
#   PIXLOSS_NVCC, PIXLOSS_CUDA_TOOLKIT, PIXLOSS_CUDA_VERSION, PIXLOSS_CUDA_RUNTIME (the static library)
#   PIXLOSS_CUDA_INCLUDE    the toolkit's headers, which tests/cuda_host uses without nvcc
#   pixloss_cuda_objects(VARIABLE source.cu ...)   compiles; the objects' paths
#   pixloss_cuda_gate(TARGET object ...)           a target that fails where a kernel of the objects spills; see cuda_kernels.py

set(PIXLOSS_CUDA AUTO CACHE STRING "Build the CUDA backend (nvcc): ON, OFF, or AUTO, where there is a compiler")
set_property(CACHE PIXLOSS_CUDA PROPERTY STRINGS AUTO ON OFF)
set(PIXLOSS_CUDA_ROOT "" CACHE PATH "CUDA toolkit (bin/nvcc, include, lib64); empty: look for one")
set(PIXLOSS_CUDA_ARCHITECTURES "" CACHE STRING
    "GPUs to compile for: 90-real (machine code), 90-virtual (PTX), 90 (both), native; empty: CMAKE_CUDA_ARCHITECTURES, or all from 75")
if(PIXLOSS_CUDA_ARCHITECTURES STREQUAL "")
  set(PIXLOSS_CUDA_ARCHITECTURES "75-real;80-real;86-real;89-real;90-real;100-real;120")
  if(CMAKE_CUDA_ARCHITECTURES) # a project's that this one is part of
    set(PIXLOSS_CUDA_ARCHITECTURES ${CMAKE_CUDA_ARCHITECTURES})
  endif()
endif()

# look_into(nvcc): sets what find_cuda returns, where the nvcc has its runtime beside it.
function(look_into nvcc)
  # nvcc may be a script or a link: it knows where its toolkit is.
  execute_process(COMMAND ${nvcc} --dryrun -E -x cu /dev/null ERROR_VARIABLE said OUTPUT_QUIET)
  string(REGEX MATCH "#\\$ TOP=([^\n]*)" line "${said}")
  get_filename_component(root "${CMAKE_MATCH_1}" REALPATH)
  string(REGEX MATCH "#\\$ _TARGET_DIR_=([^\n]*)" line "${said}")
  find_path(include cuda_runtime.h NO_CACHE NO_DEFAULT_PATH PATHS ${root}/include ${root}/${CMAKE_MATCH_1}/include)
  find_library(runtime cudart_static NO_CACHE NO_DEFAULT_PATH PATHS ${root}/lib64 ${root}/lib ${root}/${CMAKE_MATCH_1}/lib)
  execute_process(COMMAND ${nvcc} --version OUTPUT_VARIABLE said)
  string(REGEX MATCH "release ([0-9.]+)" line "${said}")
  if(include AND runtime AND line)
    set(PIXLOSS_CUDA_FOUND ON PARENT_SCOPE)
    set(PIXLOSS_NVCC ${nvcc} PARENT_SCOPE)
    set(PIXLOSS_CUDA_VERSION ${CMAKE_MATCH_1} PARENT_SCOPE)
    set(PIXLOSS_CUDA_TOOLKIT ${root} PARENT_SCOPE)
    set(PIXLOSS_CUDA_INCLUDE ${include} PARENT_SCOPE)
    set(PIXLOSS_CUDA_RUNTIME ${runtime} PARENT_SCOPE)
  endif()
endfunction()

macro(find_cuda)
  set(PIXLOSS_CUDA_FOUND OFF)
  if(PIXLOSS_CUDA_ROOT)
    look_into(${PIXLOSS_CUDA_ROOT}/bin/nvcc)
    if(NOT PIXLOSS_CUDA_FOUND)
      message(FATAL_ERROR "PIXLOSS_CUDA_ROOT is ${PIXLOSS_CUDA_ROOT}: not a CUDA toolkit, with bin/nvcc, include/cuda_runtime.h and "
              "lib64/libcudart_static.a")
    endif()
  endif()
  if(NOT PIXLOSS_CUDA_FOUND AND NOT "$ENV{CUDACXX}" STREQUAL "")
    find_program(cudacxx NAMES "$ENV{CUDACXX}" NO_CACHE)
    if(cudacxx)
      look_into(${cudacxx})
    endif()
    if(NOT PIXLOSS_CUDA_FOUND)
      message(WARNING "CUDACXX is $ENV{CUDACXX}: not an nvcc with cuda_runtime.h and libcudart_static.a in its toolkit")
    endif()
  endif()
  # A toolkit that the user names, then what scripts/setup.sh brought, then the system's.
  find_program(nvcc_in_path nvcc NO_CACHE)
  foreach(nvcc IN ITEMS "$ENV{CUDA_PATH}/bin/nvcc" "$ENV{CUDA_HOME}/bin/nvcc" ${PROJECT_SOURCE_DIR}/build/cuda/bin/nvcc
          "${nvcc_in_path}" /usr/local/cuda/bin/nvcc)
    if(NOT PIXLOSS_CUDA_FOUND AND EXISTS "${nvcc}")
      look_into(${nvcc})
    endif()
  endforeach()
endmacro()

if(NOT PIXLOSS_CUDA STREQUAL AUTO AND NOT PIXLOSS_CUDA)
  message(STATUS "CUDA: off (PIXLOSS_CUDA)")
else()
  find_cuda()
  if(PIXLOSS_CUDA_FOUND)
    message(STATUS "CUDA: ${PIXLOSS_CUDA_VERSION}, ${PIXLOSS_CUDA_TOOLKIT}, for ${PIXLOSS_CUDA_ARCHITECTURES}")
  elseif(PIXLOSS_CUDA STREQUAL AUTO)
    message(STATUS "CUDA: none found, so none built")
  else()
    message(FATAL_ERROR "PIXLOSS_CUDA is ON, but there is no nvcc with cuda_runtime.h and libcudart_static.a: scripts/setup.sh "
            "--cuda-compiler brings them into build/cuda, -DPIXLOSS_CUDA_ROOT=... names a toolkit, -DPIXLOSS_CUDA=OFF does without")
  endif()
  if(PIXLOSS_CUDA STREQUAL AUTO)
    set(PIXLOSS_CUDA ${PIXLOSS_CUDA_FOUND}) # for this run of CMake: the next one looks again
  endif()
endif()

# The libraries are looked for at run time; to build what calls them takes their headers, beside CUDA's or in PyPI's wheels.
set(library_folders ${PIXLOSS_CUDA_INCLUDE} ${PROJECT_SOURCE_DIR}/build/cuda/include)
find_path(PIXLOSS_CUDNN_INCLUDE cudnn_graph.h HINTS ${library_folders} DOC "The folder of cudnn_graph.h, 9 or later")
find_path(PIXLOSS_CUBLAS_INCLUDE cublas_v2.h HINTS ${library_folders} DOC "The folder of cublas_v2.h")
foreach(library IN ITEMS CUDNN CUBLAS)
  set(possible OFF)
  if(PIXLOSS_CUDA AND PIXLOSS_${library}_INCLUDE)
    set(possible ON)
  endif()
  option(PIXLOSS_${library} "With CUDA: networks on a GPU, by cuDNN; style, by cuBLAS (found at run time)" ${possible})
  if(PIXLOSS_${library} AND NOT PIXLOSS_${library}_INCLUDE)
    message(FATAL_ERROR "PIXLOSS_${library} is ON, but its headers are missing: scripts/setup.sh --cuda brings them into build/cuda, "
            "-DPIXLOSS_${library}_INCLUDE=... names their folder, -DPIXLOSS_${library}=OFF does without")
  endif()
  message(STATUS "CUDA: ${library} ${PIXLOSS_${library}}")
endforeach()

# nvcc's flags for a list as CMAKE_CUDA_ARCHITECTURES has it.
function(pixloss_cuda_architecture_flags result)
  set(flags)
  foreach(architecture IN LISTS ARGN)
    if(architecture MATCHES "^([0-9]+[af]?)(-real|-virtual)?$")
      set(code "sm_${CMAKE_MATCH_1}")
      if(CMAKE_MATCH_2 STREQUAL "-virtual")
        set(code "compute_${CMAKE_MATCH_1}")
      elseif(CMAKE_MATCH_2 STREQUAL "")
        set(code "[compute_${CMAKE_MATCH_1},sm_${CMAKE_MATCH_1}]")
      endif()
      list(APPEND flags "-gencode=arch=compute_${CMAKE_MATCH_1},code=${code}")
    elseif(architecture MATCHES "^(native|all|all-major)$")
      list(APPEND flags -arch=${architecture})
    else()
      message(FATAL_ERROR "PIXLOSS_CUDA_ARCHITECTURES: '${architecture}' is none; 90-real, 90-virtual, 90 or native is needed")
    endif()
  endforeach()
  if(NOT flags)
    message(FATAL_ERROR "PIXLOSS_CUDA_ARCHITECTURES names none")
  endif()
  set(${result} ${flags} PARENT_SCOPE)
endfunction()

find_package(Python3 COMPONENTS Interpreter QUIET)
set(PIXLOSS_CUDA_KERNELS_SCRIPT ${CMAKE_CURRENT_LIST_DIR}/cuda_kernels.py)
set(PIXLOSS_CUDA_KERNELS_TEST ${CMAKE_CURRENT_LIST_DIR}/cuda_kernels_test.py)

function(pixloss_cuda_objects result)
  pixloss_cuda_architecture_flags(flags ${PIXLOSS_CUDA_ARCHITECTURES})
  # The host's side needs no C++ library: C programs link the backend as they are.
  list(APPEND flags -std=c++17 -O3 -lineinfo -Xptxas=-v
       -Xcompiler=-fPIC,-fvisibility=hidden,-fno-exceptions,-fno-rtti,-fno-threadsafe-statics,-Wall
       -I${PROJECT_SOURCE_DIR}/include -DPXLI_CUDA)
  if(CMAKE_CXX_COMPILER_ID STREQUAL GNU AND NOT DEFINED ENV{NVCC_CCBIN})
    list(APPEND flags -ccbin=${CMAKE_CXX_COMPILER})
  endif()
  if(PIXLOSS_CUDA_VERSION VERSION_GREATER_EQUAL 13) # a sixth of the bytes; before CUDA 13 it asks for a newer driver than the rest
    list(APPEND flags --compress-mode=size)
  endif()
  if(PIXLOSS_WERROR)
    list(APPEND flags -Werror=all-warnings)
  endif()
  set(objects)
  foreach(source IN LISTS ARGN)
    get_filename_component(source ${source} ABSOLUTE)
    get_filename_component(name ${source} NAME)
    set(object ${CMAKE_CURRENT_BINARY_DIR}/cuda/${name}.o)
    set(command ${PIXLOSS_NVCC} ${flags} -MD -MF ${object}.d -MT ${object} -c ${source} -o ${object})
    if(Python3_FOUND) # keeps what ptxas says of the kernels, for the gate
      set(command ${Python3_EXECUTABLE} ${PIXLOSS_CUDA_KERNELS_SCRIPT} compile ${object}.ptxas -- ${command})
    endif()
    add_custom_command(OUTPUT ${object} DEPENDS ${source} DEPFILE ${object}.d COMMAND ${command} VERBATIM
                       COMMENT "Building CUDA object ${name}.o")
    list(APPEND objects ${object})
  endforeach()
  file(MAKE_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/cuda)
  set_source_files_properties(${objects} PROPERTIES EXTERNAL_OBJECT ON GENERATED ON)
  set(${result} ${objects} PARENT_SCOPE)
endfunction()

function(pixloss_cuda_gate target)
  add_custom_target(${target})
  if(NOT Python3_FOUND)
    message(WARNING "python3 is missing: the build does not check whether CUDA kernels spill registers")
    return()
  endif()
  set(stamp ${CMAKE_CURRENT_BINARY_DIR}/cuda/spills.checked) # there only while all is well
  add_custom_command(OUTPUT ${stamp} DEPENDS ${ARGN} ${PIXLOSS_CUDA_KERNELS_SCRIPT} VERBATIM
    COMMAND ${CMAKE_COMMAND} -E rm -f ${stamp}
    COMMAND ${Python3_EXECUTABLE} ${PIXLOSS_CUDA_KERNELS_SCRIPT} check --table ${PROJECT_BINARY_DIR}/cuda_kernels.md
            --tools ${PIXLOSS_CUDA_TOOLKIT}/bin --tools ${PROJECT_SOURCE_DIR}/build/cuda/bin ${ARGN}
    COMMAND ${CMAKE_COMMAND} -E touch ${stamp}
    COMMENT "Checking CUDA kernels for spills")
  add_custom_target(${target}_stamp DEPENDS ${stamp})
  add_dependencies(${target} ${target}_stamp)
endfunction()
