#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Builds everything and runs the tests; the last line counts them.
# usage: sh tests/run.sh [MESON-TEST-ARGUMENT...]
# BUILDDIR, if set, is the build directory to use instead of build/.

top=$(cd "$(dirname "$0")/.." && pwd) || exit 1
# shellcheck source=scripts/setup.sh
. "$top/scripts/setup.sh"

install_missing tests
install_optional
configure
meson configure "$builddir" -Dtests=true -Dexamples=true -Dintrospection=true -Dvapi=enabled >&2 || exit 1
build

rm -f "$builddir"/meson-logs/testlog*.json
meson test -C "$builddir" --no-rebuild "$@" < /dev/null
status=$?

# meson counts programs; this counts what they report, and shows the output of those that failed.
python3 "$top/tests/count-tap.py" --meson-status="$status" "$builddir"/meson-logs/testlog*.json
