#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Tests the output of the small examples.
# usage: programs-test.sh PRIORITIES CANCEL

priorities=$1
cancel=$2
# shellcheck source=tests/tap.sh
. "$(dirname "$0")/../tests/tap.sh"

work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

echo "1..12"

# With FIFOs each line is sent only after the answer to the line before.
mkfifo "$work/in" "$work/out" || exit 1
"$priorities" < "$work/in" > "$work/out" &
pid=$!
exec 3> "$work/in" 4< "$work/out"
IFS= read -r line <&4
case $line in *"Type something"*) result 0 "priorities: says what to try" ;; *) result 1 "priorities: $line" ;; esac
echo hello >&3
IFS= read -r line <&4
case $line in *"you said: hello") result 0 "priorities: answers" ;; *) result 1 "priorities: $line" ;; esac

# The calculation runs while there is no input, so its result changes at some time.
primes=0
while [ "$primes" -eq 0 ]; do
  echo more >&3
  IFS= read -r line <&4
  primes=${line%% *}
done
result 0 "priorities: works meanwhile"
echo quit >&3
IFS= read -r line <&4
wait "$pid"
result $? "priorities: ends when told to"
exec 3>&- 4<&-

"$priorities" < "$0" > "$work/log"
result $? "priorities: takes a file"

"$cancel" --seconds=1 > "$work/log"
status=$?
sed 's/^/# /' "$work/log"
grep -q "ended with: Operation was cancelled" "$work/log" || status=1
result "$status" "cancel: ends a wait"

# Every program tells its options and its version, and refuses what it does not know.
for program in "$priorities" "$cancel"; do
  name=$(basename "$program")
  "$program" --help | grep -q "$name \[OPTION" && "$program" --help | grep -q -- --version
  result $? "$name: --help"
  "$program" --version | grep -q '^[a-z]*: sel-glib [0-9]'
  result $? "$name: --version"
  ! "$program" --nonsense 2> /dev/null && ! "$program" nonsense 2> /dev/null
  result $? "$name: refuses unknown arguments"
done
