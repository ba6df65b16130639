# Builds the guests of the benchmarks: tests/bench/guests/NAME.c -> build/bench/guests/NAME, with
# the compiler and flags of tests/guests/guests.mk. Included by the top Makefile after it, or
# alone from the top folder: make -f tests/bench/bench.mk
# SPDX-License-Identifier: GPL-2.0-or-later

BENCH_DIR := $(patsubst %/,%,$(dir $(lastword $(MAKEFILE_LIST))))
GUEST_CC ?= aarch64-linux-gnu-gcc
GUEST_CFLAGS ?= -std=gnu11 -D_GNU_SOURCE -O2 -g -Wall -Wextra -pthread -static
BENCH_GUEST_OUT ?= build/bench/guests
BENCH_GUESTS := $(patsubst $(BENCH_DIR)/guests/%.c,$(BENCH_GUEST_OUT)/%, \
                           $(sort $(wildcard $(BENCH_DIR)/guests/*.c)))

.PHONY: bench-guests
bench-guests: $(BENCH_GUESTS)

$(BENCH_GUEST_OUT)/%: $(BENCH_DIR)/guests/%.c $(BENCH_DIR)/bench.mk
	@mkdir -p $(@D)
	@echo "  GUEST   bench/$(@F)"
	@$(GUEST_CC) $(GUEST_CFLAGS) -MMD -MP -MF $@.d -o $@ $<

-include $(wildcard $(BENCH_GUEST_OUT)/*.d)
