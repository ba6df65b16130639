# Builds the bench kernels: tests/bench/kernels/NAME.c -> build/bench/kernels/NAME, as the guest
# programs are built; and what runs them in slow motion. Included by the top Makefile; the kernels
# alone: make -f tests/bench/kernels/kernels.mk bench-kernel-programs
# SPDX-License-Identifier: GPL-2.0-or-later

GUEST_CC ?= aarch64-linux-gnu-gcc
GUEST_CFLAGS ?= -std=gnu11 -D_GNU_SOURCE -O2 -g -Wall -Wextra -pthread -static
KERNEL_DIR := tests/bench/kernels
KERNEL_OUT := build/bench/kernels
KERNEL_PROGRAMS := $(patsubst $(KERNEL_DIR)/%.c,$(KERNEL_OUT)/%,$(wildcard $(KERNEL_DIR)/*.c))

.PHONY: bench-kernel-programs bench-kernels
bench-kernel-programs: $(KERNEL_PROGRAMS)
test-built: bench-kernel-programs

$(KERNEL_PROGRAMS): $(KERNEL_OUT)/%: $(KERNEL_DIR)/%.c $(KERNEL_DIR)/kernel.h \
                                     $(KERNEL_DIR)/kernels.mk
	@mkdir -p $(@D)
	@echo "  KERNEL  $(@F)"
	@$(GUEST_CC) $(GUEST_CFLAGS) -o $@ $< -lm

build/bench/slowly: build/obj/$(KERNEL_DIR)/host/slowly.o build/obj/tests/bench/slow.o \
                    build/obj/tests/bench/cpu.o
	@mkdir -p $(@D)
	@echo "  LD $@"
	@$(CC) -pthread $(CFLAGS) $^ $(PKG_LIBS) -o $@

# The curves take long. make bench-kernels BENCH="--quick --only ^lu"
.PHONY: bench-kernels-built
bench-kernels:
	@.ci/packages install bench
	@$(MAKE) $@-built
bench-kernels-built: all bench-kernel-programs build/bench/slowly
	@$(KERNEL_DIR)/curves $(BENCH)
