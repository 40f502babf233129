#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Checks the files with which desktops and software centres present the GTK example. Prints TAP.
# usage: desktop-test.sh DIRECTORY

id=org.example.SelectorMonitor
# shellcheck source=tests/tap.sh
. "$(dirname "$0")/../../tests/tap.sh"

# Runs a tool, if it is there.
check ()
{
  name=$1
  shift
  if command -v "$1" > /dev/null; then
    output=$("$@" 2>&1)
    status=$?
    echo "$output" | sed 's/^/# /'
    result "$status" "$name"
  else
    result 0 "$name # SKIP missing tool $1"
  fi
}

echo 1..2
check "desktop entry" desktop-file-validate "$1/$id.desktop"
check "AppStream metadata" appstreamcli validate --no-net --override=url-homepage-missing=info "$1/$id.metainfo.xml"
