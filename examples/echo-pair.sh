#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Starts the echo server, runs the client, and stops the server.
# usage: echo-pair.sh SERVER CLIENT BACKEND [CLIENT-OPTION...]
# If ECHO_SERVER_LIMIT is set, it is the limit of descriptors of the server.

server=$1
client=$2
backend=$3
shift 3

server_pid=
client_pid=
work=$(mktemp -d) || exit 1

clean_up ()
{
  trap '' INT TERM
  [ -z "$client_pid" ] || kill "$client_pid" 2>/dev/null
  [ -z "$server_pid" ] || kill "$server_pid" 2>/dev/null
  rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# With a named pipe this script can wait for the first line, and no line is lost.
mkfifo "$work/output" || exit 1
(
  # shellcheck disable=SC3045
  [ -z "${ECHO_SERVER_LIMIT-}" ] || ulimit -n "$ECHO_SERVER_LIMIT"
  exec "$server" --backend="$backend"
) > "$work/output" &
server_pid=$!
exec 3< "$work/output"

port=
if IFS= read -r line <&3; then
  printf '%s\n' "$line"
  port=$(printf '%s\n' "$line" | sed -n 's/.* port \([0-9][0-9]*\) .*/\1/p')
fi
if [ -z "$port" ]; then
  wait "$server_pid"
  status=$?
  server_pid=
  [ "$status" -ne 0 ] || status=1
  exit "$status"
fi

"$client" --backend="$backend" --port="$port" "$@" 3<&- &
client_pid=$!
wait "$client_pid"
client_status=$?
client_pid=

# The server ends by itself on SIGTERM. If it hangs, it is killed.
kill -TERM "$server_pid"
(sleep 10; kill -KILL "$server_pid") > /dev/null 2>&1 3<&- &
watchdog_pid=$!
cat <&3
wait "$server_pid"
server_status=$?
server_pid=
kill "$watchdog_pid" 2>/dev/null

if [ "$client_status" -eq 0 ] && [ "$server_status" -eq 0 ]; then
  echo "PASSED: every byte came back as it was sent"
else
  echo "FAILED: the client ended with status $client_status, the server with $server_status"
  exit 1
fi
