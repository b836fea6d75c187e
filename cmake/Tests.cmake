# How tests are added. Names are "folder/name"; a test says how it went by its exit status and by a last
# line "N passed, N failed[, N skipped]", which tools/run-tests sums up.

# ph_add_test(NAME COMMAND... [LABELS LABEL...] [TIMEOUT SECONDS]): a test with our environment.
function(ph_add_test name)
	cmake_parse_arguments(PARSE_ARGV 1 arg "" "TIMEOUT" "COMMAND;LABELS")
	if(NOT arg_TIMEOUT)
		set(arg_TIMEOUT 600)
	endif()
	add_test(NAME ${name} COMMAND ${arg_COMMAND})
	set_tests_properties(${name} PROPERTIES TIMEOUT ${arg_TIMEOUT} LABELS "${arg_LABELS}"
		ENVIRONMENT "POSTHASTE=${PROJECT_BINARY_DIR}/posthaste")
endfunction()

# Does this build run this source? See the head of tests/CMakeLists.txt.
function(ph_runs_here source result)
	set(${result} ON PARENT_SCOPE)
	if(POSTHASTE_SANITIZE)
		get_filename_component(name "${source}" NAME)
		file(STRINGS "${source}" refusal LIMIT_COUNT 1 REGEX "^// sanitizers: none")
		if(refusal OR (POSTHASTE_SANITIZE STREQUAL "thread" AND NOT name MATCHES "^thread_"))
			set(${result} OFF PARENT_SCOPE)
		endif()
	endif()
endfunction()

# One binary from one source: "mq/open" becomes the target test-mq-open, built as tests/mq/open.
function(ph_add_runner_binary name source)
	string(REPLACE "/" "-" target "test-${name}")
	get_filename_component(folder "${name}" DIRECTORY)
	get_filename_component(base "${name}" NAME)
	add_executable(${target} "${source}")
	set_target_properties(${target} PROPERTIES OUTPUT_NAME "${base}"
		RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/tests/${folder}")
	ph_add_test(${name} COMMAND ${target})
	set(target ${target} PARENT_SCOPE)
endfunction()

# ph_add_test_binary(NAME SOURCE LIBRARY TARGET [POSIX]): a test of the library with tests/runner.h.
function(ph_add_test_binary name source)
	cmake_parse_arguments(PARSE_ARGV 2 arg "POSIX" "LIBRARY" "")
	ph_runs_here("${source}" runs)
	if(NOT runs OR (source MATCHES "\\.cc$" AND NOT PH_CXX))
		return()
	endif()
	ph_add_runner_binary(${name} "${source}")
	if(arg_POSIX)
		target_compile_options(${target} PRIVATE -include posthaste/posix.h)
	endif()
	target_link_libraries(${target} PRIVATE ph-runner ${arg_LIBRARY})
endfunction()

# ph_add_kernel_test_binary(NAME SOURCE): the same source against the kernel's message queues.
function(ph_add_kernel_test_binary name source)
	if(PH_NATIVE)
		ph_add_runner_binary(${name} "${source}")
		target_link_libraries(${target} PRIVATE ph-runner-kernel)
	endif()
endfunction()

# Folders of tests/ that have a CMakeLists.txt of their own.
function(ph_add_test_folders)
	foreach(folder ${ARGN})
		if(EXISTS "${PROJECT_SOURCE_DIR}/tests/${folder}/CMakeLists.txt")
			add_subdirectory(${folder})
		endif()
	endforeach()
endfunction()
