#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Checks that the first block of C in the README is the same as the example, apart from the first lines of the example.
# usage: check-readme.sh README.md hello.c

work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

awk '/^```c$/ { inside = 1; next } inside && /^```$/ { exit } inside' "$1" > "$work/readme"
sed '1,/^$/d' "$2" > "$work/example"

diff -u "$work/readme" "$work/example"
