# The front door. `make help` lists what there is; CMake does the work, out of source, in $(BUILD).
#
# A target that lacks a Debian package installs it (as root or with passwordless sudo), or says how.

BUILD  ?= build
PREFIX ?= /usr/local
JOBS   ?= $(shell nproc 2>/dev/null || echo 2)
FILES  ?=

OUT       := $(abspath $(BUILD))
CMAKE     := env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL cmake
CONFIGURE  = $(CMAKE) -S . -B $(OUT) -Wno-dev --log-level=WARNING -DCMAKE_INSTALL_PREFIX=$(PREFIX) >/dev/null
COMPILE    = $(CMAKE) --build $(OUT) --parallel $(JOBS)
VARIANT    = POSTHASTE_JOBS=$(JOBS) tools/check-variant
RUN        = tools/run-tests $(OUT) -j$(JOBS)

BASICS := gcc libc6-dev cmake libncurses-dev
MOUNT  := libfuse3-dev fuse3
PROBES := systemtap-sdt-dev
PICTURES := gnuplot-nox fonts-dejavu-core
CROSS  := musl-tools linux-libc-dev gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user
LOOPS := libuv1-dev libevent-dev
PACKAGERS := debhelper dpkg-dev lintian
# Programs of others, for the tests of posthaste run.
OTHERS := stress-ng python3 postgresql-15 libffi-platypus-perl
VIEWS := tmux python3
PROVERS := g++ binutils clang libclang-rt-14-dev spin

.DEFAULT_GOAL := all
.PHONY: all programs demo check check-asan check-ubsan check-tsan check-kill check-tidy check-format \
	check-layers check-man check-musl check-musl-static check-aarch64 check-fuzz check-model check-torture bench report install deb check-deb check-programs clean help

all: ## the library, shared, static and to preload, and the command
	@tools/need $(BASICS)
	@tools/need --optional $(MOUNT) $(PROBES)
	@$(CONFIGURE)
	@$(COMPILE) --target product

# Everything: the tests and the peers of the benchmark too.
programs:
	@tools/need $(BASICS) $(PROVERS)
	@tools/need --optional $(LOOPS) $(MOUNT) $(PROBES) $(VIEWS)
	@$(CONFIGURE)
	@$(COMPILE)

demo: all ## count words in several processes and kill one of them (FILES="..." chooses the text)
	$(OUT)/posthaste demo $(FILES)

check: programs ## every test, with short runs of the long ones; musl and aarch64 included
	@tools/need $(CROSS)
	@tools/need --optional $(PICTURES) mandoc $(OTHERS)
	@$(RUN) -LE full

check-asan check-ubsan check-tsan: check-%: ## the tests under a sanitizer
	@$(VARIANT) $* $(OUT)/$*

check-musl check-musl-static check-aarch64: check-%: ## the tests on another C library, on another machine
	@$(VARIANT) $* $(OUT)/$*

check-kill: programs ## the full kill sweep: killed at every instruction boundary
	@$(RUN) -R '^kill/' -L full

check-torture: programs ## the long runs of pipes: 5 GiB through one, many writers, random plays
	@$(RUN) -R '^pipe/' -L full

check-fuzz: programs ## fuzz for a while
	@$(RUN) -R '^fuzz/'

check-model: programs ## the protocols as models
	@$(RUN) -R '^model/'

check-layers: ## no include goes upward or sideways
	@tools/check-layers
	@tools/check-layers-test

check-man: all ## the manual pages are well-formed and complete
	@POSTHASTE=$(OUT)/posthaste tools/check-man

check-format: ## clang-format has nothing to say
	@tools/need clang-format
	@tools/check-format

check-tidy: programs ## clang-tidy has nothing to say
	@tools/need clang-tidy
	@tools/check-tidy $(OUT)

bench: ## our figures beside the kernel's and other libraries'
	@tools/need $(BASICS)
	@tools/need --optional g++ libboost-dev
	@$(CONFIGURE)
	@$(COMPILE)
	bench/run $(OUT)

report: all ## the same as a page with pictures, without the other libraries (build/report)
	@tools/need $(PICTURES)
	$(OUT)/posthaste bench --report $(OUT)/report

install: all ## PREFIX=/usr/local DESTDIR=
	$(CMAKE) --install $(OUT)

deb: ## Debian packages, in build/deb; lintian has nothing to say
	@tools/need $(BASICS) $(MOUNT) $(PROBES) $(PACKAGERS)
	@JOBS=$(JOBS) tools/make-deb $(OUT)/deb

check-deb: deb ## install, use and remove them in a fresh Debian (as root)
	@tools/need debootstrap
	@tools/check-deb $(OUT)/deb

check-programs: all ## other people's programs, compiled with posix.h, pass their own tests (as root; deb-src; an hour)
	@tools/need gcc libc6-dev make dpkg-dev autoconf automake libtool util-linux
	@tools/check-programs $(OUT) $(PROGRAMS)

clean: ## remove the build directory
	@if [ -f $(OUT)/CMakeCache.txt ]; then rm -rf $(OUT); fi

help: ## this list
	@sed -n 's/^\([a-z][a-z0-9 -]*\):.*## \(.*\)/\1	\2/p' Makefile | while read -r line; do \
		printf '  make %-34s %s\n' "$${line%%	*}" "$${line##*	}"; done
