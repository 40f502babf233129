#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Runs a program of the manual and compares its output with the expected output.
# usage: check-output.sh OUTPUT PROGRAM...
#        check-output.sh --sorted FILE PROGRAM...

if [ "$1" = --sorted ]; then
  expected=$(sort "$2")
  shift 2
  printed=$("$@" | sort)
else
  expected=$(printf '%s' "$1")
  shift
  printed=$("$@")
fi
status=$?

[ "$printed" = "$expected" ] && [ "$status" -eq 0 ] && exit 0
printf 'status %d, printed:\n%s\nexpected:\n%s\n' "$status" "$printed" "$expected"
exit 1
