#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Unpacks GLib for 32 bits, and what it needs, into a directory of its own: Debian's packages cannot be installed beside
# those of 64 bits. Installs nothing, and needs no root. For SEL_TEST_I386_ROOT; see CONTRIBUTING.md.
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
# If a mirror is just being changed, what it had is enough.
apt-get update || :
apt-get install -y --no-install-recommends --download-only libglib2.0-dev libc6-dev "libgcc-${gcc%%.*}-dev"
for package in "$root"/apt/cache/archives/*.deb; do
  dpkg -x "$package" "$root"
done
rm -r "$root/apt"
