# Builds the guest programs: tests/guests/GROUP/NAME.c -> build/guests/NAME, static AArch64.
# Included by the top Makefile, or alone from the top folder: make -f tests/guests/guests.mk
# A source may add flags in a line of its own: /* cflags: ... */
# SPDX-License-Identifier: GPL-2.0-or-later

GUEST_CC ?= aarch64-linux-gnu-gcc
GUEST_CFLAGS ?= -std=gnu11 -D_GNU_SOURCE -O2 -g -Wall -Wextra -pthread -static
GUEST_OUT ?= build/guests
GUEST_DIR := $(patsubst %/,%,$(dir $(lastword $(MAKEFILE_LIST))))
GUEST_SOURCES := $(sort $(wildcard $(GUEST_DIR)/*/*.c))
# gcc makes no program of -static and -static-pie together
GUEST_PIE := $(shell grep -l '^/\* cflags:.* -static-pie' $(GUEST_SOURCES))
GUEST_PROGRAMS := $(patsubst %.c,$(GUEST_OUT)/%,$(notdir $(GUEST_SOURCES)))

.PHONY: guests
guests: $(GUEST_PROGRAMS)

define guest_rule
$(GUEST_OUT)/$(basename $(notdir $(1))): $(1) $(GUEST_DIR)/guests.mk | $(GUEST_OUT)
	@echo "  GUEST   $$(@F)"
	@$(GUEST_CC) $(if $(filter $(1),$(GUEST_PIE)),$(filter-out -static,$(GUEST_CFLAGS)),$(GUEST_CFLAGS)) \
	    $$$$(sed -n 's,^/\* cflags: \(.*\) \*/$$$$,\1,p' $$<) \
	    -I$(GUEST_DIR) -MMD -MP -MF $$@.d -o $$@ $$<
endef
$(foreach s,$(GUEST_SOURCES),$(eval $(call guest_rule,$(s))))

$(GUEST_OUT):
	@mkdir -p $@

-include $(wildcard $(GUEST_OUT)/*.d)
