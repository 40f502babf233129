#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Tests the tour of Selector Monitor.
# shellcheck disable=SC3045
# usage: tour-test.sh SELECTOR-MONITOR

monitor=$1
# shellcheck source=tests/tap.sh
. "$(dirname "$0")/../../tests/tap.sh"
MANY=5000

tour ()
{
  "$monitor" "$@" > "$work/log" 2>&1
  status=$?
  sed 's/^/# /' "$work/log"
  return "$status"
}

# usage: check_tour N
check_tour ()
{
  for backend in select poll epoll; do
    grep -q "^tour: $backend echoed" "$work/log"
    result $? "$1 connections with $backend"
  done

  grep -q 'every byte compared' "$work/log"
  result $? "nothing of $1 connections is lost"

  grep -q 'all clients were removed' "$work/log"
  result $? "$1 connections come and go in the list"
}

work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
export GTK_A11Y=none

tour --clients=100 --tour=0 --screenshot="$work/window.png"
result $? "a tour with 100 clients"
check_tour 100

# The bytes "PNG" follow the first byte of the file. A picture of an empty window would be smaller.
[ "$(dd if="$work/window.png" bs=1 skip=1 count=3 2> /dev/null)" = PNG ] \
  && [ "$(wc -c < "$work/window.png")" -gt 10000 ]
result $? "a picture of the window is saved"

# usage: brightness PNG-FILE
# Prints the mean of the picture's bytes, 0 to 255.
brightness ()
{
  /usr/bin/python3 - "$1" <<'EOF'
import sys
import gi
gi.require_version('GdkPixbuf', '2.0')
from gi.repository import GdkPixbuf
pixels = GdkPixbuf.Pixbuf.new_from_file(sys.argv[1]).get_pixels()
print(sum(pixels) // len(pixels))
EOF
}

tour --clients=10 --tour=0 --dark --screenshot="$work/dark.png"
result $? "a tour in the dark"

if light=$(brightness "$work/window.png" 2> /dev/null); then
  [ "$light" -gt 200 ] && [ "$(brightness "$work/dark.png")" -lt 130 ]
  result $? "the dark variant of the theme is dark"
else
  result 0 "the dark variant of the theme is dark # SKIP missing tool GdkPixbuf for Python"
fi

if [ "$(ulimit -Hn)" = unlimited ] || [ "$(ulimit -Hn)" -ge $((2 * MANY + 100)) ]; then
  tour --clients="$MANY" --tour=0
  result $? "a tour with $MANY clients"
  check_tour "$MANY"
else
  result 0 "a tour with $MANY clients # SKIP only $(ulimit -Hn) descriptors are allowed here"
fi

(ulimit -n 300 && tour --clients=500 --tour=0)
[ $? -eq 1 ] && grep -q 'no more than 100 clients' "$work/log"
result $? "too many clients are a message, not a crash"

tour --backend=nonsense --tour=0
[ $? -eq 2 ] && grep -q 'no such backend' "$work/log"
result $? "an unknown backend is a message, not a crash"

tour --clients=nonsense
[ $? -eq 1 ]
result $? "a wrong option is refused"

echo "1..$number"
