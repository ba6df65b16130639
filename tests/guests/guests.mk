# Builds the guest programs: tests/guests/GROUP/NAME.c, static, for each instruction set of ISAS ->
# build/guests/NAME for aarch64, build/guests/ISA/NAME for the others (those without tools/, which
# serve other tests). Included by the top Makefile, or alone from the top folder:
#   make -f tests/guests/guests.mk [ISAS="arm riscv64"]
#   make -s -f tests/guests/guests.mk guest-names ISAS=arm     which guests there are for it
# A source may add flags in lines of its own, for all or for one: /* cflags: ... */, /* cflags arm: ... */
# SPDX-License-Identifier: GPL-2.0-or-later

ISAS ?= aarch64 arm riscv64 x86_64
GUEST_CC ?= aarch64-linux-gnu-gcc
GUEST_CC_aarch64 = $(GUEST_CC)
GUEST_CC_arm ?= arm-linux-gnueabihf-gcc
GUEST_CC_riscv64 ?= riscv64-linux-gnu-gcc
GUEST_CC_s390x ?= s390x-linux-gnu-gcc
GUEST_CC_x86_64 ?= x86_64-linux-gnu-gcc
GUEST_CFLAGS ?= -std=gnu11 -D_GNU_SOURCE -O2 -g -Wall -Wextra -pthread -static
# as Debian builds its programs for it
GUEST_CFLAGS_arm := -D_FILE_OFFSET_BITS=64
GUEST_OUT ?= build/guests
GUEST_DIR := $(patsubst %/,%,$(dir $(lastword $(MAKEFILE_LIST))))
GUEST_SOURCES := $(sort $(wildcard $(GUEST_DIR)/*/*.c))
# gcc makes no program of -static and -static-pie together
GUEST_PIE := $(shell grep -l '^/\* cflags:.* -static-pie' $(GUEST_SOURCES))

# Guests that only some instruction sets have, and why.
GUEST_ONLY_split_high := aarch64 riscv64 s390x x86_64#    addresses of more than 32 bits
GUEST_ONLY_high_addresses := aarch64 riscv64 s390x x86_64#  likewise
# with 32-bit addresses plain QEMU has all of them mapped for the kernel
GUEST_ONLY_own_memory := aarch64 riscv64 s390x x86_64
GUEST_ONLY_others_memory := aarch64 riscv64 s390x x86_64
GUEST_ONLY_vsyscall := x86_64#          no other has that page
GUEST_ONLY_private_file_sparse := aarch64 riscv64 s390x x86_64#  maps more than 32 bits have room for
# with 32-bit addresses plain QEMU forbids the old place
GUEST_ONLY_private_file_keep := aarch64 riscv64 s390x x86_64
# s390x tells the page of a fault only, not the address in it
GUEST_ONLY_map_visible := aarch64 arm riscv64 x86_64
GUEST_ONLY_private_file_end := $(GUEST_ONLY_map_visible)
GUEST_ONLY_segv := $(GUEST_ONLY_map_visible)
GUEST_ONLY_sigbus := $(GUEST_ONLY_map_visible)
# the host's kernel keeps words in its own byte order: no big-endian guest can have these in QEMU
GUEST_ONLY_futex_raw := aarch64 arm riscv64 x86_64#       FUTEX_WAKE_OP
GUEST_ONLY_split_futex := aarch64 arm riscv64 x86_64#     the same
GUEST_ONLY_pi_mutex := aarch64 arm riscv64 x86_64#        priority inheritance
GUEST_ONLY_split_stacks := aarch64 arm riscv64 x86_64#    its small stacks have no room for these frames
GUEST_ONLY_tagged := aarch64#           allocation tags
GUEST_ONLY_split_sve := aarch64#        vectors of variable length
GUEST_ONLY_split_bulk := aarch64#       instructions that clear and copy memory
GUEST_ONLY_split_wide := aarch64#       atomic 16 byte loads and stores in the compiler
GUEST_ONLY_split_atomics := aarch64#    its atomics are those of one instruction set
GUEST_ONLY_split_unaligned := aarch64#  its accesses are those of one instruction set
GUEST_ONLY_thread_clean := aarch64#     all registers of a new thread, by name
GUEST_ONLY_atomics_llsc := aarch64 arm riscv64#           the others have no LL/SC
GUEST_ONLY_atomics_lse := aarch64 riscv64 s390x x86_64#   ARMv7 has nothing else
GUEST_ONLY_grows_down := aarch64 riscv64 s390x x86_64#   QEMU keeps 32-bit addresses reserved, which it then
GUEST_ONLY_mlock := aarch64 riscv64 s390x x86_64#        takes for mapped: nothing grows into them, and
GUEST_ONLY_remap := aarch64 riscv64 s390x x86_64#        they can be locked
GUEST_ONLY_huge_reserved := aarch64 riscv64 s390x x86_64# more than 32 bits have
GUEST_ONLY_kernel_helpers := arm#       the kernel's page with code is Arm's
GUEST_ONLY_atomics_unaligned := x86_64#   the others have no such atomics

# guests-of,ISA: the sources
guests-of = $(foreach s,$(if $(filter aarch64,$1),$(GUEST_SOURCES), \
    $(filter-out $(GUEST_DIR)/tools/%,$(GUEST_SOURCES))),$(if $(filter $1,$(or \
    $(GUEST_ONLY_$(basename $(notdir $s))),$1)),$s))
guest-folder = $(GUEST_OUT)$(if $(filter-out aarch64,$1),/$1)
GUEST_PROGRAMS := $(foreach i,$(ISAS),$(foreach s,$(call guests-of,$i), \
    $(call guest-folder,$i)/$(basename $(notdir $s))))

.PHONY: guests guest-names
guests: $(GUEST_PROGRAMS)
guest-names:
	@printf '%s\n' $(basename $(notdir $(call guests-of,$(firstword $(ISAS)))))

# guest_rule,SOURCE,ISA,FOLDER
define guest_rule
$3/$(basename $(notdir $1)): $1 $(GUEST_DIR)/guests.mk | $3
	@echo "  GUEST   $$(@:$(GUEST_OUT)/%=%)"
	@$(GUEST_CC_$2) $(if $(filter $1,$(GUEST_PIE)),$(filter-out -static,$(GUEST_CFLAGS)),$(GUEST_CFLAGS)) $(GUEST_CFLAGS_$2) \
	    $$$$(sed -nE 's,^/\* cflags( $2)?: (.*) \*/$$$$,\2,p' $$<) \
	    -I$(GUEST_DIR) -MMD -MP -MF $$@.d -o $$@ $$<
endef
$(foreach i,$(ISAS),$(foreach s,$(call guests-of,$i), \
    $(eval $(call guest_rule,$s,$i,$(call guest-folder,$i)))))

$(sort $(foreach i,$(ISAS),$(call guest-folder,$i))):
	@mkdir -p $@

-include $(foreach i,$(ISAS),$(wildcard $(call guest-folder,$i)/*.d))
