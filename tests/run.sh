#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Builds everything and runs the tests; the last line counts them.
# usage: sh tests/run.sh [--long] [MESON-TEST-ARGUMENT...]
# --long takes hours: random operations and each fuzzer run for an hour, and ten times as many descriptors are used.
# BUILDDIR, if set, is the build directory to use instead of build/.

top=$(cd "$(dirname "$0")/.." && pwd) || exit 1
# shellcheck source=scripts/setup.sh
. "$top/scripts/setup.sh"

if [ "${1-}" = --long ]; then
  shift
  set -- --timeout-multiplier=0 "$@"
  export SEL_TEST_LOAD=long SEL_TEST_MODEL_SECONDS="${SEL_TEST_MODEL_SECONDS:-3600}"
  export SEL_TEST_FUZZ_SECONDS="${SEL_TEST_FUZZ_SECONDS:-3600}"
fi

install_missing tests
install_optional
configure
set_options -Dtests=true -Dexamples=true -Dintrospection=true -Ddocs=true -Dvapi=enabled
build

rm -f "$builddir"/meson-logs/testlog*.json
meson test -C "$builddir" --no-rebuild "$@" < /dev/null
status=$?

# meson counts programs. The script counts the results that they print, and shows the output of failed programs.
python3 "$top/tests/count-tap.py" --meson-status="$status" "$builddir"/meson-logs/testlog*.json
