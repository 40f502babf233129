#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Checks the files with which desktops and software centres present the GTK example. Prints TAP.
# usage: desktop-test.sh DIRECTORY

id=org.example.SelectorMonitor
# shellcheck source=tests/tap.sh
. "$(dirname "$0")/../../tests/tap.sh"

# The example has no home page. Newer versions of appstreamcli warn about that; older ones do not know the tag and fail
# if it is overridden.
validate_metadata ()
{
  appstreamcli validate --no-net "$1" || appstreamcli validate --no-net --override=url-homepage-missing=info "$1"
}

# Runs a tool with the command that uses it, if the tool is there.
check ()
{
  name=$1
  tool=$2
  shift 2
  if command -v "$tool" > /dev/null; then
    output=$("$@" 2>&1)
    status=$?
    echo "$output" | sed 's/^/# /'
    result "$status" "$name"
  else
    result 0 "$name # SKIP missing tool $tool"
  fi
}

echo 1..2
check "desktop entry" desktop-file-validate desktop-file-validate "$1/$id.desktop"
check "AppStream metadata" appstreamcli validate_metadata "$1/$id.metainfo.xml"
