# dqemu: the one entry point. `make help` lists the targets.
#
# Everything that is built lies below build/; build/cache keeps what was downloaded.
#
# SPDX-License-Identifier: GPL-2.0-or-later

MAKEFLAGS += --no-builtin-rules --no-print-directory
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.SUFFIXES:

# The guests' instruction sets; make ISAS="aarch64 s390x" builds those two.
ISAS ?= aarch64 arm riscv64 x86_64
KNOWN_ISAS := aarch64 arm riscv64 s390x x86_64
$(if $(filter-out $(KNOWN_ISAS),$(ISAS)),$(error ISAS: no such instruction set here: \
    $(filter-out $(KNOWN_ISAS),$(ISAS)); there are $(KNOWN_ISAS), and qemu/README.md says how to \
    add one))
PREFIX ?= /usr/local
DESTDIR ?=
DQEMU_CACHE ?= $(CURDIR)/build/cache
export DQEMU_CACHE

COMMA := ,

CC = gcc
WARNINGS = -Wall -Wextra -Werror=implicit
CFLAGS ?= -O2 -g
B := build
Q := $(B)/qemu
LIBS := glib-2.0 gnutls jansson libevent_core libevent_pthreads libibverbs librdmacm

# asked for once, and only when something is compiled
PKG_CFLAGS = $(eval PKG_CFLAGS := $(shell pkg-config --cflags $(LIBS)))$(PKG_CFLAGS)
PKG_LIBS = $(eval PKG_LIBS := $(shell pkg-config --libs $(LIBS)))$(PKG_LIBS)
ALL_CFLAGS = -std=gnu11 -fPIC -pthread $(WARNINGS) $(CFLAGS) -D_GNU_SOURCE -I. -I$(B) $(PKG_CFLAGS) -MMD -MP

LIB_SRC := $(sort $(wildcard proto/*.c dqemu/*.c master/*.c slave/*.c))
DEPLOY_SRC := $(sort $(wildcard deploy/*.c))
GLUE_SRC := $(sort $(notdir $(wildcard qemu/glue/*.c)))
HEADERS := $(wildcard proto/*.h dqemu/*.h master/*.h slave/*.h proto/*.inc dqemu/*.inc \
             master/*.inc slave/*.inc)
GLUE := $(wildcard qemu/glue/*)
PATCHES := $(wildcard qemu/patches/*.patch qemu/patches/series)
NODES := $(ISAS:%=$(B)/dqemu-%)
PLAIN := $(ISAS:%=$(B)/qemu-%)

all: $(B)/dqemu-launch $(NODES) $(PLAIN)

# ---- files that hold a list, rewritten when the list changes: what depends on the list itself

$(shell mkdir -p $(Q); touch -a $(B)/libdqemu.list $(B)/deploy.list $(Q)/glue.list $(Q)/isas.list)
keep = $(if $(subst x$(strip $2)x,,x$(strip $(file <$1))x),$(file >$1,$(strip $2)))
$(call keep,$(B)/libdqemu.list,$(LIB_SRC))
$(call keep,$(B)/deploy.list,$(DEPLOY_SRC))
$(call keep,$(Q)/glue.list,$(GLUE_SRC))
# QEMU is configured for all that were ever asked for: what is compiled stays
CONFIGURED := $(sort $(ISAS) $(file <$(Q)/isas.list))
$(call keep,$(Q)/isas.list,$(CONFIGURED))
$(B)/libdqemu.list $(B)/deploy.list $(Q)/glue.list $(Q)/isas.list: ;

# ---- packages

.PHONY: deps need-build
deps:
	@.ci/packages install test
need-build:
	@.ci/packages check build

# ---- our own code

# The build id: nodes of one run must come from the same inputs (proto/auth.h).
BUILD_INPUTS = $(LIB_SRC) $(HEADERS) $(filter %.c %.h %.build,$(GLUE)) $(PATCHES) qemu/build.sh
$(B)/.buildid: $(BUILD_INPUTS) $(B)/libdqemu.list $(Q)/glue.list $(Q)/.fetched
	@id=$$(cat $(sort $(BUILD_INPUTS)) $(Q)/glue.list | sha256sum | cut -c1-20); \
	qemu=$$(cat $(Q)/plain/VERSION); \
	printf '/* Generated: what this node was built from. */\n#define DQ_BUILD_ID "%s-%s"\n' \
	    "$$qemu" "$$id" >$@.new; \
	cmp -s $@.new $(B)/dqemu-buildid.h || cp $@.new $(B)/dqemu-buildid.h; \
	mv $@.new $@
$(B)/dqemu-buildid.h: $(B)/.buildid
	@:

# variant,DIR,FLAGS: the library and its objects under build/DIR
define variant
$(B)/$1/%.o: %.c Makefile | need-build $(B)/dqemu-buildid.h
	@mkdir -p $$(@D)
	@echo '  CC $1 $$<'
	@$$(CC) $$(ALL_CFLAGS) $2 -c $$< -o $$@
$(B)/$1/libdqemu.a: $(LIB_SRC:%.c=$(B)/$1/%.o) $(B)/libdqemu.list
	@echo '  AR $$@'
	@rm -f $$@
	@ar rcs $$@ $$(filter %.o,$$^)
endef
$(eval $(call variant,obj,))
$(eval $(call variant,asan,-fsanitize=address$(COMMA)undefined -fno-sanitize-recover=undefined \
    -fno-omit-frame-pointer))
# (what fences order in our code is atomic by itself, so that nothing false is reported)
$(eval $(call variant,tsan,-fsanitize=thread -Wno-tsan))

$(B)/libdqemu.a: $(B)/obj/libdqemu.a
	@ln -f $< $@

$(B)/dqemu-launch: $(DEPLOY_SRC:%.c=$(B)/obj/%.o) $(B)/libdqemu.a $(B)/deploy.list
	@echo '  LD $@'
	@$(CC) -pthread $(CFLAGS) $(filter %.o,$^) $(B)/libdqemu.a $(PKG_LIBS) -ldw -lelf -o $@

# ---- QEMU: a plain tree and a patched one, each with its own build

$(Q)/.fetched: | need-build
	@qemu/fetch.sh $(Q) $(DQEMU_CACHE)
	@touch $@

$(Q)/.patched: $(Q)/.fetched $(PATCHES) qemu/tree.sh
	@qemu/tree.sh $(Q)/plain $(Q)/patched
	@touch $@

$(Q)/plain-build/build.ninja: qemu/build.sh $(Q)/.fetched $(Q)/isas.list | $(Q)/.patched
	@echo '  CONFIGURE plain QEMU'
	@qemu/build.sh configure $(Q)/plain $(@D) $(CONFIGURED)
	@touch $@

# the archive must exist for Meson to see that it is a file to relink for
$(Q)/dqemu-build/build.ninja: qemu/build.sh $(Q)/.fetched $(Q)/isas.list \
                             | $(Q)/.patched $(B)/libdqemu.a
	@echo '  CONFIGURE dqemu'
	@qemu/build.sh configure $(Q)/patched $(@D) $(CONFIGURED)
	@touch $@

$(PLAIN): $(B)/qemu-%: $(Q)/plain-build/build.ninja $(Q)/.patched
	@qemu/build.sh compile $(<D) $*
	@ln -f $(<D)/qemu-$* $@
	@touch $@

$(NODES): $(B)/dqemu-%: $(Q)/dqemu-build/build.ninja $(Q)/.patched $(Q)/glue.list $(GLUE) \
                        $(HEADERS) $(B)/libdqemu.a
	@qemu/build.sh compile $(<D) $*
	@ln -f $(<D)/qemu-$* $@
	@touch $@

.PHONY: qemu-tree $(ISAS:%=dqemu-%)
qemu-tree: $(Q)/.patched
$(ISAS:%=dqemu-%): dqemu-%: $(B)/dqemu-%

# ---- tests
#
# A C file below tests/ that has a main() is a test program: build/tests/unit/NAME for
# tests/unit/NAME.c, build/tests/NAME for the other folders. The files without one are linked
# into every program of their folder. build/tests/asan and build/tests/tsan hold the same
# programs of unit, sim, fuzz and pager under the sanitizers. Each unit test gets a NAME.t beside it.

TEST_DIRS := unit sim fuzz launch pager bench rdma
TEST_SRC := $(wildcard $(TEST_DIRS:%=tests/%/*.c))
TEST_MAIN := $(sort $(if $(TEST_SRC),$(shell grep -l '^int main' $(TEST_SRC))))
TEST_HELP := $(filter-out $(TEST_MAIN),$(TEST_SRC))
TEST_LIMIT ?= 120

# program,SOURCE,OUTPUT,VARIANT,FLAGS
define program
$2: $(1:%.c=$(B)/$3/%.o) $(patsubst %.c,$(B)/$3/%.o,$(filter $(dir $1)%,$(TEST_HELP))) \
    $(B)/$3/libdqemu.a
	@mkdir -p $$(@D)
	@echo '  LD $3 $$@'
	@$$(CC) -pthread $$(CFLAGS) $4 $$(filter %.o,$$^) $(B)/$3/libdqemu.a $$(PKG_LIBS) -o $$@
endef
unit_out = $(if $(filter tests/unit/%,$1),$(1:%.c=$(B)/%),$(B)/tests/$(notdir $(1:%.c=%)))
san_out = $(B)/tests/$2/$(notdir $(1:%.c=%))
$(foreach s,$(TEST_MAIN),$(eval $(call program,$s,$(call unit_out,$s),obj,)))
TEST_SAN := $(filter tests/unit/% tests/sim/% tests/fuzz/% tests/pager/%,$(TEST_MAIN))
$(foreach s,$(TEST_SAN), \
    $(eval $(call program,$s,$(call san_out,$s,asan),asan,-fsanitize=address$(COMMA)undefined)) \
    $(eval $(call program,$s,$(call san_out,$s,tsan),tsan,-fsanitize=thread)))
.SECONDARY:

UNIT := $(basename $(notdir $(filter tests/unit/%,$(TEST_MAIN))))
UNIT_T := $(UNIT:%=$(B)/tests/unit/%.t) $(UNIT:%=$(B)/tests/asan/%.t) $(UNIT:%=$(B)/tests/tsan/%.t)
TEST_PROGRAMS := $(foreach s,$(TEST_MAIN),$(call unit_out,$s)) \
    $(foreach s,$(TEST_SAN),$(call san_out,$s,asan) $(call san_out,$s,tsan))

$(UNIT_T): %.t: % Makefile
	@printf '%s\n' '#!/bin/sh' \
	    'limit=$$(echo $(TEST_LIMIT) $${DQEMU_TIME_SCALE:-1} | awk "{ print \$$1 * \$$2 }")' \
	    'exec timeout -k 5 "$$limit" $* --tap' >$@
	@chmod +x $@

-include $(wildcard tests/guests/guests.mk tests/bench/bench.mk tests/conformance/conformance.mk)
-include $(wildcard tests/bench/kernels/kernels.mk)
-include $(shell find $(B)/obj $(B)/asan $(B)/tsan -name '*.d' 2>/dev/null)

# What is quick, and finds the most, runs first.
ORDER := unit lint wire fuzz sim model pager launch
LATE := e2e litmus real faults rack rdma bench
T_FILES = $(UNIT:%=$(B)/tests/unit/%.t) $(wildcard $(ORDER:%=tests/%/*.t)) \
          $(filter-out $(B)/tests/unit/%,$(UNIT_T)) \
          $(filter-out $(foreach d,$(ORDER) $(LATE),tests/$d/%),$(sort $(wildcard tests/*/*.t))) \
          $(wildcard $(LATE:%=tests/%/*.t))
# make test T=PATTERN: those whose path matches (grep -E)
SELECTED = $(if $(T),$(shell printf '%s\n' $(T_FILES) | grep -E -- '$(T)'),$(T_FILES))
# So many files at a time; they do not disturb each other.
TEST_JOBS ?= 2
PROVE = prove --timer -j $(TEST_JOBS) $(PROVE_FLAGS)

.PHONY: test test-built test-rdma check-quick test-programs
test:
	@.ci/packages install test
	@$(MAKE) test-built
test-programs: $(TEST_PROGRAMS)
test-built: all $(TEST_PROGRAMS) $(UNIT_T) guests bench-guests
	@$(if $(SELECTED),$(PROVE) $(SELECTED),echo "no test matches $(T)"; exit 1)
# every guest on three virtual machines, where `make test` has some of each kind
test-rdma:
	@.ci/packages install test
	@$(MAKE) all $(TEST_PROGRAMS) guests
	@DQEMU_TEST_RDMA_GUESTS=all $(PROVE) tests/rdma/rdma.t
# without QEMU and guests: our own code's tests
check-quick: $(B)/dqemu-launch $(TEST_PROGRAMS) $(UNIT_T)
	@$(PROVE) $(filter $(ORDER:%=tests/%/%) $(UNIT_T),$(T_FILES))

# ---- benchmarks: tests/bench/README.md

BENCH_PROGRAMS := $(B)/tests/bench $(B)/tests/raw $(B)/tests/kernel $(B)/tests/scale \
    $(B)/tests/transport
.PHONY: bench bench-quick bench-built bench-quick-built
bench bench-quick:
	@.ci/packages install bench
	@$(MAKE) $@-built
bench-built: all $(BENCH_PROGRAMS) bench-guests
	@$(B)/tests/bench
bench-quick-built: all $(BENCH_PROGRAMS) bench-guests
	@$(B)/tests/bench --quick

# ---- a run to look at

SYSROOT := $(B)/sysroot
.PHONY: run run-built
run:
	@.ci/packages install build
	@$(MAKE) run-built
run-built: all
	@tests/sysroot.sh $(SYSROOT) pigz
	@mkdir -p $(B)/run
	@seq 1 2000000 >$(B)/run/numbers
	@echo "pigz -p 8, an AArch64 program, on a cluster of three nodes:"
	@$(B)/dqemu-launch -n 3 --stats -L $(SYSROOT) $(SYSROOT)/usr/bin/pigz -p 8 -c \
	    $(B)/run/numbers >$(B)/run/numbers.gz
	@gzip -dc $(B)/run/numbers.gz | cmp - $(B)/run/numbers
	@echo "$$(stat -c %s $(B)/run/numbers) bytes became $$(stat -c %s $(B)/run/numbers.gz);" \
	    "decompressed on this machine they are the same again"

# ---- lint, format

C_FILES = $(shell find proto dqemu master slave deploy qemu/glue tests -name '*.[ch]' | sort)
.PHONY: lint fmt
lint: $(B)/dqemu-buildid.h
	@prove --timer tests/lint/*.t
fmt:
	@clang-format -i $(C_FILES)

include deploy/install.mk

# ---- cleaning: clean keeps the downloads

.PHONY: all clean distclean help
clean:
	@find $(B) -mindepth 1 -maxdepth 1 ! -name cache -exec rm -rf {} +
distclean:
	@rm -rf $(B)

help:
	@echo 'make              build the launcher, the nodes and a plain QEMU to compare with'
	@echo 'make run          a real program on a local cluster (installs packages if needed)'
	@echo 'make test         all tests (installs packages if needed); T=PATTERN selects'
	@echo 'make test-rdma    RDMA between virtual machines with every guest, an hour'
	@echo 'make conformance  programs of others beside plain QEMU; CONFORMANCE=long P=PATTERN'
	@echo 'make check-quick  the tests of our own code, without QEMU'
	@echo 'make bench        compare with raw sockets and plain QEMU, 15 minutes; bench-quick: 2'
	@echo 'make bench-kernels  speed-up curves of programs like PARSEC, an hour; BENCH=--quick'
	@echo 'make deps         install the packages that building and testing need'
	@echo 'make install      PREFIX=/usr/local DESTDIR=; make uninstall'
	@echo 'make deb          a Debian package of what was built, below build/'
	@echo 'make lint, fmt    check and apply the format; check the rules of the code'
	@echo 'make qemu-tree    bring the patched tree of QEMU up to date; make dqemu-aarch64'
	@echo 'ISAS="$(ISAS)"    build for these instruction sets; there are $(KNOWN_ISAS)'
	@echo 'make clean        remove what was built; make distclean: downloads too'
	@echo 'QEMU_SRC=DIR      build that QEMU 10.0; DQEMU_CACHE=DIR keep downloads there'
