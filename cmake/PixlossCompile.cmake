# How the tests and the program are compiled, which are more text than the library.

# pixloss_compile_together(TARGET [source ...]): four sources as one, as most of the time goes into other people's headers; but these,
# which have names in their anonymous namespaces that others have, too. (Headers compiled beforehand were tried: Google Test's and
# JSON's take a quarter off a file of tests, but as long as eight of them to compile; CLI11's make it slower.)
function(pixloss_compile_together target)
  target_compile_options(${target} PRIVATE -Wno-subobject-linkage) # warns of classes in anonymous namespaces of included files
  set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 4)
  set_source_files_properties(${ARGN} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
endfunction()

# pixloss_cheap_to_compile(TARGET): for tests, which take longer to compile than to run.
function(pixloss_cheap_to_compile target)
  target_compile_options(${target} PRIVATE -O0)
  pixloss_compile_together(${target})
endfunction()
