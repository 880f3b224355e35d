# The smallest cases, timed for an instant: each passes its check, and its line is complete. A case that fails its check makes the
# program's exit status 1.
function(run out)
  execute_process(COMMAND ${BENCH} --benchmark_min_time=0.001 ${ARGN}
                  RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE errors)
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "pixloss_bench ${ARGN}: exit status ${status}\n${output}\n${errors}")
  endif()
  set(${out} "${output}" PARENT_SCOPE)
endfunction()
function(expect output)
  foreach(text IN LISTS ARGN)
    string(FIND "${output}" "${text}" at)
    if(at EQUAL -1)
      message(FATAL_ERROR "no '${text}' in\n${output}")
    endif()
  endforeach()
endfunction()

run(output --benchmark_filter=64x64)
expect("${output}" cpu/ssim/f32/1x1x64x64/value cpu/ssim/f32/1x1x64x64/gradient cpu/copy/f32/1x1x64x64/value of_copy= px/s= B/s=)

# A case of one's own, with everything that a size can say.
foreach(case IN ITEMS f32/2x3x20x31,nhwc,mask f16/1x3x20x31,crop,both bf16/2x3x20x31,nhwc,mask f64/1x3x20x31,crop,both)
  string(REPLACE "/" ";" words ${case})
  list(POP_FRONT words dtype size)
  run(output "--loss=0.5*ssim + 0.5*l1" --size=${size} --dtype=${dtype})
  expect("${output}" "cpu/0.5*ssim+0.5*l1/${case}/gradient" of_copy=)
endforeach()

run(output "--loss=reduce(l2)" --size=2x3x20x31)
expect("${output}" "cpu/reduce(l2)/f32/2x3x20x31/value" of_copy=)

foreach(wrong IN ITEMS --device=gpu --device=cuda:x --device --size=1x1x8x8,warm --size=1x1x8x8,graph "--loss=reduce(median)" --loss=ssin --size=1x2x3 --size=1x1x0x8 --size=1x1x8x8,flip --dtype=u8 --what)
  execute_process(COMMAND ${BENCH} ${wrong} RESULT_VARIABLE status OUTPUT_QUIET ERROR_VARIABLE errors)
  if(NOT status EQUAL 2 OR errors STREQUAL "")
    message(FATAL_ERROR "pixloss_bench ${wrong}: exit status ${status}, not 2; errors: ${errors}")
  endif()
endforeach()
