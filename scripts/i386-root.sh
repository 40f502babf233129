#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Unpacks the 32-bit GLib and its dependencies into a separate directory, because Debian's packages cannot be installed
# beside the 64-bit ones. This script installs nothing and does not need root rights. The directory is for
# SEL_TEST_I386_ROOT; see CONTRIBUTING.md.
# usage: sh scripts/i386-root.sh DIRECTORY

set -eu

mkdir -p "$1/apt/lists/partial" "$1/apt/cache/archives/partial"
root=$(cd "$1" && pwd)
: > "$root/apt/status"
cat > "$root/apt/apt.conf" <<EOF
APT::Architecture "i386";
APT::Architectures { "i386"; };
Dir::State "$root/apt";
Dir::State::status "$root/apt/status";
Dir::Cache "$root/apt/cache";
EOF
export APT_CONFIG="$root/apt/apt.conf"

gcc=$(gcc -dumpversion)
# The update may fail while a mirror changes. The old lists are sufficient then.
apt-get update || :
apt-get install -y --no-install-recommends --download-only libglib2.0-dev libc6-dev "libgcc-${gcc%%.*}-dev"
for package in "$root"/apt/cache/archives/*.deb; do
  dpkg -x "$package" "$root"
done
rm -r "$root/apt"
