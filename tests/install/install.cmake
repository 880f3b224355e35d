# Installs all that was built into an empty folder, and looks whether the program is there, and runs.
include(${CMAKE_CURRENT_LIST_DIR}/run.cmake)
file(REMOVE_RECURSE "${folder}")
run(${CMAKE_COMMAND} --install ${build} --config ${config} --prefix "${folder}/installed")
if(program)
  run("${folder}/installed/bin/pixloss" --version)
  expect("${output}" "pixloss ${version}")
  foreach(file IN ITEMS man/man1/pixloss.1 bash-completion/completions/pixloss zsh/site-functions/_pixloss
          fish/vendor_completions.d/pixloss.fish)
    file(READ "${folder}/installed/share/${file}" text)
    expect("${text}" compare dtype)
  endforeach()
endif()
