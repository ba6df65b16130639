# shellcheck shell=bash
# git starts itself for much of what it does: a repository, a commit, a clone that is checked.
# SPDX-License-Identifier: GPL-2.0-or-later
export HOME=$PWD GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a
export GIT_COMMITTER_EMAIL=a@b GIT_EXEC_PATH=$SYSROOT/usr/lib/git-core
export GIT_TEMPLATE_DIR=$SYSROOT/usr/share/git-core/templates
guest git init -q one &&
    seq 1 5000 >one/numbers &&
    guest git -C one add numbers &&
    guest git -C one -c gc.auto=0 commit -q -m first &&
    guest git -C one repack -q -a -d --threads=4 &&
    guest git clone -q --no-local one two &&
    cmp one/numbers two/numbers &&
    guest git -C two fsck --strict
