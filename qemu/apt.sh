# Private apt: packages from the archive that this machine uses, without reading or changing
# what is installed. To be sourced (bash, set -euo pipefail).
#
#   apt_open DIR ARCH SUITE   lists and state under DIR, for that suite of the archive alone
#   apt_run DIR ARG...        apt-get there
#
# apt checks the signatures with Debian's own keyring. Host names stay out of messages.
#
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash

# the Debian archive that apt is configured with
apt_archive() {
    apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Component: main' |
        awk '/security/ { next } { any = any ? any : $0 }
             /\/debian\/?$/ { print; found = 1; exit }
             END { if (!found && any) print any }'
}

apt_open() {
    local dir=$1 arch=$2 suite=$3 uri
    uri=$(apt_archive)
    if [ -z "$uri" ]; then
        echo "apt has no Debian archive configured (see sources.list(5))" >&2
        return 1
    fi
    mkdir -p "$dir"/{lists,archives}/partial
    : >"$dir/status"
    cat >"$dir/suite.sources" <<END
Types: deb deb-src
URIs: $uri
Suites: $suite
Components: main
Architectures: $arch
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
END
    cat >"$dir/apt.conf" <<END
APT::Architecture "$arch";
#clear APT::Architectures;
APT::Architectures { "$arch"; };
Dir::Etc::SourceList "$dir/suite.sources";
Dir::Etc::SourceParts "/dev/null";
Dir::State "$dir";
Dir::State::Lists "$dir/lists";
Dir::State::Status "$dir/status";
Dir::Cache "$dir";
Dir::Cache::Archives "archives";
APT::Sandbox::User "root";
APT::Install-Recommends "false";
APT::Keep-Downloaded-Packages "true";
Acquire::Languages "none";
Acquire::Retries "3";
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
END
}

apt_run() {
    local dir=$1
    shift
    apt-get -qq -c "$dir/apt.conf" "$@" 2> >(sed -E 's#[a-z]+://[^/ ]+#(mirror)#g' >&2)
}
