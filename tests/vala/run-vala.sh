#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Compiles a test in Vala and runs it, if there is valac.
# usage: run-vala.sh SOURCE

for tool in valac vapigen; do
  if ! command -v "$tool" > /dev/null 2>&1; then
    echo "1..0 # SKIP missing tool: $tool"
    exit 0
  fi
done

here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

"$here/compile.sh" "$1" "$work/test" >&2 || exit 1
"$work/test" --tap
