# pixloss_count_tests(VARIABLE source ...): how many tests these have, for as many shards.
function(pixloss_count_tests variable)
  set(count 0)
  foreach(source IN LISTS ARGN)
    file(STRINGS ${source} tests REGEX "^TEST(_F)?\\(")
    list(LENGTH tests in_source)
    math(EXPR count "${count} + ${in_source}")
  endforeach()
  set(${variable} ${count} PARENT_SCOPE)
endfunction()

# pixloss_suite(NAME PROGRAM [SHARDS n] [FILTER filter] [ENVIRONMENT NAME=VALUE ...] [LABELS label ...] [TIMEOUT seconds] [COST c])
#
# The tests of a Google Test program as one entry of ctest, or as n, each a process that runs every nth test: a process for each test
# would cost more than most tests do. With several shards their names are NAME.1 to NAME.n. What each test took
# lies in results/<entry>.json of the build folder, why one was skipped in ctest's log; scripts/test_report.py reads both.
# A program that ends with 77 before any test, as the tested device is missing, counts as skipped if that is a GPU (the label cuda).
set(PIXLOSS_TEST_SHARDS 4 CACHE STRING "Processes for each long list of tests; best twice the number of cores or more")

function(pixloss_suite name program)
  cmake_parse_arguments(PARSE_ARGV 2 suite "" "SHARDS;FILTER;TIMEOUT;COST" "ENVIRONMENT;LABELS")
  if(NOT suite_SHARDS)
    set(suite_SHARDS 1)
  endif()
  if(NOT suite_FILTER)
    set(suite_FILTER "-*Slow*")
  endif()
  if(NOT suite_TIMEOUT)
    set(suite_TIMEOUT 7200)
  endif()
  if(NOT suite_COST)
    set(suite_COST 10)
  endif()
  file(MAKE_DIRECTORY ${PROJECT_BINARY_DIR}/results)
  foreach(shard RANGE 1 ${suite_SHARDS})
    set(entry ${name})
    set(environment ${suite_ENVIRONMENT})
    if(suite_SHARDS GREATER 1)
      set(entry ${name}.${shard})
      math(EXPR index "${shard} - 1")
      list(APPEND environment GTEST_TOTAL_SHARDS=${suite_SHARDS} GTEST_SHARD_INDEX=${index})
    endif()
    add_test(NAME ${entry} COMMAND ${program} --gtest_brief=1 --gtest_filter=${suite_FILTER}
             --gtest_output=json:${PROJECT_BINARY_DIR}/results/${entry}.json)
    set_tests_properties(${entry} PROPERTIES LABELS "${suite_LABELS}" ENVIRONMENT "${environment}" TIMEOUT ${suite_TIMEOUT}
                         COST ${suite_COST})
    if("cuda" IN_LIST suite_LABELS)
      set_tests_properties(${entry} PROPERTIES SKIP_RETURN_CODE 77)
    endif()
  endforeach()
endfunction()
