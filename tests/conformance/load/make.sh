# shellcheck shell=bash
# Recipes of make, four at a time, by the guest's shell.
# SPDX-License-Identifier: GPL-2.0-or-later
cat >Makefile <<'MAKE'
SHELL := /bin/dash
all: $(addprefix out.,1 2 3 4 5 6 7 8)
	@cat $^ | sort -n >sum
out.%:
	@seq 1 $* >$@.new && mv $@.new $@
MAKE
guest make -j4 -s && [ "$(wc -l <sum)" = 36 ]
