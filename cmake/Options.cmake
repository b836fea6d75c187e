# Compiler flags and the kinds of build. Everything compiled here links ph-options.
#
#   POSTHASTE_SANITIZE   address, undefined or thread
#   POSTHASTE_STATIC     no shared library, programs linked statically (musl, cross builds under qemu)
#   POSTHASTE_WERROR     warnings are errors
set(POSTHASTE_SANITIZE "" CACHE STRING "Sanitizer: address, undefined, thread or none")
option(POSTHASTE_STATIC "Link tests and command statically, build no shared library" OFF)
option(POSTHASTE_WERROR "Warnings are errors" ON)

set(CMAKE_C_STANDARD 17)
set(CMAKE_CXX_STANDARD 17)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(POSTHASTE_STATIC)
	set(PH_SHARED OFF)
else()
	set(PH_SHARED ON)
endif()

add_library(ph-options INTERFACE)
# Empty, as `#define _GNU_SOURCE` in a file would make it: both may say so.
target_compile_definitions(ph-options INTERFACE $<$<COMPILE_LANGUAGE:C>:_GNU_SOURCE=>)
target_compile_options(ph-options INTERFACE
	-Wall -Wextra -Wpointer-arith -Wvla
	$<$<COMPILE_LANGUAGE:C>:-Wshadow -Wstrict-prototypes -Wmissing-prototypes>
	$<$<BOOL:${POSTHASTE_WERROR}>:-Werror>)
if(NOT CMAKE_BUILD_TYPE)
	target_compile_options(ph-options INTERFACE -O2 -g)
endif()

if(POSTHASTE_SANITIZE)
	set(PH_SANITIZER_FLAGS -fsanitize=${POSTHASTE_SANITIZE} -fno-sanitize-recover=all)
	target_compile_options(ph-options INTERFACE ${PH_SANITIZER_FLAGS} -fno-omit-frame-pointer)
	target_link_options(ph-options INTERFACE ${PH_SANITIZER_FLAGS})
elseif(NOT POSTHASTE_STATIC)
	target_link_options(ph-options INTERFACE LINKER:--no-undefined)
endif()

if(POSTHASTE_STATIC)
	target_link_options(ph-options INTERFACE -static)
endif()

# musl-gcc searches musl's headers only, which lack the kernel's.
if(CMAKE_C_COMPILER MATCHES "musl-gcc$")
	target_compile_options(ph-options INTERFACE "SHELL:-idirafter /usr/include"
		"SHELL:-idirafter /usr/include/${CMAKE_SYSTEM_PROCESSOR}-linux-gnu")
endif()

# PH_NATIVE: an ordinary build, for this machine and its C library, and not instrumented.
set(PH_NATIVE OFF)
if(PH_SHARED AND NOT POSTHASTE_SANITIZE AND NOT CMAKE_CROSSCOMPILING
	AND NOT CMAKE_C_COMPILER MATCHES "musl-gcc$")
	set(PH_NATIVE ON)
endif()

# C++ is wanted for a test of the headers and for a peer of the benchmark: no compiler, no such thing.
set(PH_CXX OFF)
if(PH_NATIVE)
	include(CheckLanguage)
	check_language(CXX)
	if(CMAKE_CXX_COMPILER)
		enable_language(CXX)
		set(PH_CXX ON)
	endif()
endif()

# PH_FUSE: the command can mount. libfuse3 is this machine's, linked with its C library.
set(PH_FUSE OFF)
if(PH_NATIVE OR POSTHASTE_SANITIZE MATCHES "address|undefined")
	find_path(PH_FUSE_INCLUDE fuse_lowlevel.h PATH_SUFFIXES fuse3)
	find_library(PH_FUSE_LIBRARY fuse3)
	if(PH_FUSE_INCLUDE AND PH_FUSE_LIBRARY)
		set(PH_FUSE ON)
	endif()
endif()

# ncurses with wide characters, for the live view of the command: the machine's own, for its own C library.
set(PH_NCURSES "")
if(NOT POSTHASTE_STATIC AND NOT CMAKE_CROSSCOMPILING AND NOT CMAKE_C_COMPILER MATCHES "musl-gcc$")
	find_library(PH_NCURSESW ncursesw)
	find_library(PH_TINFO tinfo)
	find_path(PH_NCURSES_HEADERS ncurses.h)
	if(PH_NCURSESW AND PH_NCURSES_HEADERS)
		set(PH_NCURSES ${PH_NCURSESW})
		if(PH_TINFO)
			list(APPEND PH_NCURSES ${PH_TINFO})
		endif()
	endif()
endif()
