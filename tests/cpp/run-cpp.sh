#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Compiles a test in C++ with each compiler and for each version of the language, and runs it. Prints TAP.
# usage: run-cpp.sh SOURCE

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/tap.sh
. "$here/../tap.sh"
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

for compiler in g++ clang++; do
  for version in c++17 c++20; do
    name="$compiler -std=$version"
    if ! command -v "$compiler" > /dev/null 2>&1; then
      result 0 "$name # SKIP missing tool: $compiler"
      continue
    fi

    "$here/compile.sh" "$1" "$work/test" "$compiler" "-std=$version" > "$work/log" 2>&1
    status=$?
    result "$status" "$name: no warnings"
    if [ "$status" -eq 0 ]; then
      "$work/test" --tap > "$work/log" 2>&1
      result $? "$name: the program"
    fi
    sed 's/^/# /' "$work/log"
  done
done

echo "1..$number"
