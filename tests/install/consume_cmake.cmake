# An external project that finds the installed library by find_package(pixloss).
include(${CMAKE_CURRENT_LIST_DIR}/run.cmake)
set(work "${folder}/${name}")
file(REMOVE_RECURSE "${work}")
set(toolkit)
if(cuda_toolkit) # which need not be where CMake looks
  set(toolkit -DCUDAToolkit_ROOT=${cuda_toolkit})
endif()
run(${CMAKE_COMMAND} -S ${CMAKE_CURRENT_LIST_DIR}/project -B "${work}" -G ${generator} -Dlanguage=${language} -Dkind=${kind}
    -DCMAKE_PREFIX_PATH=${folder}/installed -DCMAKE_${language}_COMPILER=${compiler} -DCMAKE_${language}_FLAGS=${flags}
    ${toolkit})
run(${CMAKE_COMMAND} --build "${work}")
expect_linked("${work}/consumer")
run("${work}/consumer")
expect("${output}" "mse = 0.015625")
