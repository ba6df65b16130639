# Manual pages, installing, and the Debian package. Included by the Makefile.
#
# SPDX-License-Identifier: GPL-2.0-or-later

# ---- manual pages, dated as the version is

MAN_SRC := $(wildcard deploy/*.scd)
MAN := $(MAN_SRC:deploy/%.scd=$(B)/man/%)
CHANGELOG := deploy/debian/changelog

.PHONY: man
man: $(MAN)
all: $(MAN)
$(B)/man/%: deploy/%.scd $(CHANGELOG) | need-build
	@mkdir -p $(@D)
	@echo '  MAN $@'
	@SOURCE_DATE_EPOCH=$$(dpkg-parsechangelog -l $(CHANGELOG) -S Timestamp) scdoc <$< >$@

# ---- installing: programs without their debugging symbols, which are most of their size

STRIP ?= strip
EXAMPLES := deploy/dqemu.sbatch deploy/hostfile.example
COMPLETION := deploy/dqemu-launch.bash
TO = $(DESTDIR)$(PREFIX)
MAN_DIRS := $(sort $(foreach m,$(MAN),share/man/man$(subst .,,$(suffix $m))))
# directories that others use too, and our own
SHARED_DIRS := bin libexec share/doc $(MAN_DIRS) share/bash-completion/completions
OWN_DIRS := libexec/dqemu share/doc/dqemu
SHARED_FILES := bin/dqemu-launch share/bash-completion/completions/dqemu-launch \
    $(foreach m,$(MAN),share/man/man$(subst .,,$(suffix $m))/$(notdir $m))

.PHONY: install uninstall
install: $(B)/dqemu-launch $(NODES) $(MAN)
	@for d in $(SHARED_DIRS) $(OWN_DIRS) share/doc/dqemu/examples; do install -d "$(TO)/$$d"; done
	@install -m 755 $(B)/dqemu-launch "$(TO)/bin"
	@install -m 755 $(NODES) "$(TO)/libexec/dqemu"
	@$(STRIP) -R .comment -R .note "$(TO)/bin/dqemu-launch" $(foreach n,$(NODES),"$(TO)/libexec/dqemu/$(notdir $n)")
	@for m in $(MAN); do install -m 644 $$m "$(TO)/share/man/man$${m##*.}"; done
	@install -m 644 $(COMPLETION) "$(TO)/share/bash-completion/completions/dqemu-launch"
	@install -m 644 README.md COPYING "$(TO)/share/doc/dqemu"
	@install -m 644 $(EXAMPLES) "$(TO)/share/doc/dqemu/examples"
	@echo "dqemu is installed below $(TO)"

# What is left of the shared directories goes only below a DESTDIR, which is nobody else's.
uninstall:
	@for f in $(SHARED_FILES); do rm -f "$(TO)/$$f"; done
	@for d in $(OWN_DIRS); do rm -rf "$(TO)/$$d"; done
	@[ -z "$(DESTDIR)" ] || for d in $(SHARED_DIRS); do \
	    d=$(PREFIX)/$$d; cd "$(DESTDIR)"; \
	    [ ! -d ".$$d" ] || rmdir -p --ignore-fail-on-non-empty "$${d#/}"; \
	done
	@echo "dqemu is no more below $(TO)"

# ---- the Debian package, of what was built

.PHONY: deb
deb: $(B)/deb/.built
$(B)/deb/.built: $(B)/dqemu-launch $(NODES) $(MAN) $(COMPLETION) $(EXAMPLES) README.md COPYING \
                 deploy/deb.sh deploy/version.h $(wildcard deploy/debian/*) deploy/install.mk
	@rm -rf $(@D)
	@$(MAKE) install PREFIX=/usr DESTDIR=$(CURDIR)/$(@D)/stage >/dev/null
	@deploy/deb.sh $(@D) $(Q)/plain $(B)
	@touch $@
