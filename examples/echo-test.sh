#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Tests the echo server and its client over every backend of this system.
# usage: echo-test.sh SERVER CLIENT

here=$(dirname "$0")
server=$1
client=$2
# shellcheck source=tests/tap.sh
. "$here/../tests/tap.sh"

pair ()
{
  "$here/echo-pair.sh" "$server" "$client" "$@" > "$log" 2>&1
  status=$?
  sed 's/^/# /' "$log"
  return "$status"
}

log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT

for backend in default $("$server" --list-backends); do
  pair "$backend" --connections=200 --patience=20
  result $? "echo with 200 connections over $backend"

  grep -c 'at most 200 at a time' "$log" | grep -q 2
  result $? "they were open at once on both sides over $backend"

  pair "$backend" --connections=201 --messages=3 --patience=20 --slow-readers
  result $? "echo with clients that are slow to read over $backend"

  grep -q 'waits for room *[1-9]' "$log"
  result $? "the server waited for them over $backend"
done

ECHO_SERVER_LIMIT=40 pair default --connections=200 --patience=20 --hurry
result $? "a server with 40 descriptors serves 200 connections"

grep -q 'accept() pauses *[1-9]' "$log"
result $? "it paused instead of spinning"

"$server" --backend=nonsense > "$log" 2>&1
[ $? -eq 1 ] && grep -q 'no such backend' "$log"
result $? "an unknown backend is refused"

echo "1..$number"
