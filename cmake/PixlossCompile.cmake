# How the tests and the program are compiled, which are more text than the library.

# pixloss_compile_together(TARGET source ...): these as one, as most of the time goes into other people's headers; names in their
# anonymous namespaces must differ. Others of the target are compiled alone. (Headers compiled beforehand were tried: Google Test's and
# JSON's take a quarter off a file of tests, but as long as eight of them to compile; CLI11's make it slower.)
function(pixloss_compile_together target)
  list(GET ARGN 0 group)
  string(MAKE_C_IDENTIFIER ${group} group)
  set_source_files_properties(${ARGN} PROPERTIES UNITY_GROUP ${group})
  set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_MODE GROUP)
  target_compile_options(${target} PRIVATE $<$<CXX_COMPILER_ID:GNU>:-Wno-subobject-linkage>) # warns of classes in anonymous namespaces of included files
endfunction()

# pixloss_cheap_to_compile(TARGET): for tests, which take longer to compile than to run.
function(pixloss_cheap_to_compile target)
  target_compile_options(${target} PRIVATE -O0)
endfunction()
