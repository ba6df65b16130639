# The ledger of programs that others wrote: tests/conformance/README.md. Included by the top Makefile.
#   make conformance [CONFORMANCE=long] [P=PATTERN] [POSIX_TESTS=DIR] [QEMU_SRC=DIR]
#     [LTP_DIR=DIR] [SPLASH_DIR=DIR]
# SPDX-License-Identifier: GPL-2.0-or-later

.PHONY: conformance conformance-built
export CONFORMANCE POSIX_TESTS QEMU_SRC LTP_DIR SPLASH_DIR
CONFORMANCE ?= short
conformance:
	@.ci/packages install test
	@$(MAKE) conformance-built
conformance-built: $(B)/dqemu-launch $(B)/dqemu-aarch64 $(B)/qemu-aarch64
	@tests/conformance/run.sh '$(P)'
