// For the address sanitizer's search for leaks, without which these are functions that nobody calls: it must not look into what is
// local to threads. oneDNN is loaded while the program runs, and idle threads of OpenMP that have not touched its thread-local
// memory end the search with a crash. What glibc keeps there of a failed dlsym, and OpenMP of its teams, is then no longer found.
extern "C" {
const char *__lsan_default_options();
const char *__lsan_default_suppressions();
const char *__lsan_default_options() { return "use_tls=0"; }
const char *__lsan_default_suppressions() { return "leak:_dlerror_run\nleak:__GI__dl_exception_create\nleak:libgomp\n"; }
}
