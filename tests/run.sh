#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Builds everything and runs the tests; the last line counts them.
# usage: sh tests/run.sh [--long] [MESON-TEST-ARGUMENT...]
# --long takes hours: random operations and each fuzzer run for an hour, ten times as many descriptors are used, and
# check-without hides each function by itself, too.
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

# Says once a minute which checks are running, because some of them take several minutes.
tell_progress ()
{
  while sleep 60 > /dev/null 2>&1; do
    for log in $(find "$builddir/checks" -maxdepth 1 -name '*.log' -mmin -1 2> /dev/null); do
      say "check-$(basename "$log" .log) is running: $(tail -n 1 "$log" | cut -c 1-100)"
    done
  done
}

announce tests
say "all tests take 20 minutes or more on two cores; installing and building come before that"
install_missing
install_for_tests
configure
set_options -Dtests=true -Dexamples=true -Dintrospection=enabled -Ddocs=true -Dvapi=enabled
build

# A busy machine needs more time, but a test that hangs has to end.
say "running the tests"
tell_progress &
progress=$!
trap 'kill "$progress" 2> /dev/null' EXIT

# Many tests wait for most of their time, so three of them run on two processors.
n_tests=$((($(getconf _NPROCESSORS_ONLN 2> /dev/null || echo 1) * 3 + 1) / 2))

rm -f "$builddir"/meson-logs/testlog*.json
meson test -C "$builddir" --no-rebuild --timeout-multiplier=4 --num-processes "$n_tests" "$@" < /dev/null
status=$?
kill "$progress" 2> /dev/null

# meson counts programs. The script counts the results that they print, and shows the output of failed programs.
python3 "$top/tests/count-tap.py" --meson-status="$status" "$builddir"/meson-logs/testlog*.json
