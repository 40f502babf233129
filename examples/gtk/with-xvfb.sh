#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Runs a test that prints TAP on a virtual X server.
# usage: with-xvfb.sh TEST [ARGUMENT...]

if ! command -v Xvfb > /dev/null; then
  echo '1..0 # SKIP missing tool Xvfb'
  exit 0
fi

work=$(mktemp -d) || exit 1
trap 'kill "$server" 2> /dev/null; wait "$server"; rm -rf "$work"' EXIT

# The server chooses a free display number and prints it when it is ready.
mkfifo "$work/display" || exit 1
Xvfb -displayfd 3 -screen 0 1600x1200x24 -nolisten tcp 3> "$work/display" > "$work/log" 2>&1 &
server=$!
if ! read -r display < "$work/display"; then
  sed 's/^/# /' "$work/log"
  echo 'Bail out! Xvfb does not start'
  exit 1
fi

# Use no settings of the desktop, and draw without a graphics driver.
export DISPLAY=":$display" GDK_BACKEND=x11 GDK_DEBUG=gl-disable GDK_DISABLE=gl GSK_RENDERER=cairo
export GSETTINGS_BACKEND=memory
LSAN_OPTIONS="suppressions=$(dirname "$0")/lsan.supp:print_suppressions=0"
export LSAN_OPTIONS
unset WAYLAND_DISPLAY GTK_THEME

"$@"
