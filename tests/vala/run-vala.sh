#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Compiles a test in Vala or Genie and runs it, if there is valac.
# usage: run-vala.sh SOURCE [valgrind]

for tool in valac vapigen ${2-}; do
  if ! command -v "$tool" > /dev/null 2>&1; then
    echo "1..0 # SKIP missing tool: $tool"
    exit 0
  fi
done

here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

"$here/compile.sh" "$1" "$work/test" >&2 || exit 1

if [ "${2-}" != valgrind ]; then
  "$work/test" --tap
  exit
fi

# GLib installs a suppression list for memory that it keeps until the end.
suppressions=$(${PKG_CONFIG:-pkg-config} --variable=prefix glib-2.0)/share/glib-2.0/valgrind/glib.supp
G_SLICE=always-malloc valgrind --quiet --leak-check=full --show-leak-kinds=definite,indirect \
  --errors-for-leak-kinds=definite,indirect --error-exitcode=9 --suppressions="$suppressions" "$work/test" --tap
