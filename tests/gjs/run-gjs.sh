#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Runs a test in JavaScript, if there is gjs.
# usage: run-gjs.sh SCRIPT [ARGUMENT]…

if ! command -v gjs > /dev/null 2>&1; then
  echo "1..0 # SKIP missing tool: gjs"
  exit 0
fi

exec gjs -m "$@"
