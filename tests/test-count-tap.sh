#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Tests count-tap.py with logs in the format of meson.

here=$(dirname "$0")
log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT
number=0

# usage: program RESULT STDOUT, with \n in STDOUT for line ends
program ()
{
  printf '{"name": "sample", "stdout": "%s", "result": "%s", "returncode": 0}\n' "$2" "$1" >> "$log"
}

# usage: expect STATUS LAST-LINE DESCRIPTION [ENVIRONMENT [ARGUMENT]]; starts a new log for the next
expect ()
{
  number=$((number + 1))
  output=$(env "${4-CI=false}" python3 "$here/count-tap.py" ${5+"$5"} "$log" 2>&1)
  status=$?
  last=$(printf '%s\n' "$output" | tail -n 1)
  if [ "$status" -eq "$1" ] && [ "$last" = "$2" ]; then
    echo "ok $number $3"
  else
    echo "# status $status, last line: $last"
    echo "not ok $number $3"
  fi
  : > "$log"
}

program OK '1..2\nok 1 a\nok 2 b\n'
program OK 'TAP version 13\n# random seed\nok 1 c\n1..1\n'
expect 0 '3 passed, 0 failed, 0 skipped' 'all well, with the plan first or last'

program FAIL '1..3\nok 1 a\nnot ok 2 b\nok 3 c # of many\n'
expect 1 '2 passed, 1 failed, 0 skipped' 'a failure'

program FAIL '1..5\nok 1 a\nok 2 b\n'
expect 1 '2 passed, 1 failed, 0 skipped' 'a crash after part of the results'

program OK '1..3\nok 1 a\nok 2 b\n'
expect 1 '2 passed, 1 failed, 0 skipped' 'fewer results than planned, though it ended well'

program OK '1..1\nok 1 a\nok 2 b\n'
expect 1 '2 passed, 1 failed, 0 skipped' 'more results than planned'

program OK 'ok 1 a\n'
expect 1 '1 passed, 1 failed, 0 skipped' 'no plan'

program ERROR '1..2\nok 1 a\nBail out! no more\n'
expect 1 '1 passed, 1 failed, 0 skipped' 'bailing out'

program FAIL '1..2\nok 1 a\nnot ok 2 b\nBail out! b failed\n'
expect 1 '1 passed, 1 failed, 0 skipped' 'a failure is not counted again for bailing out'

program ERROR '1..1\nok 1 a\n'
expect 1 '1 passed, 1 failed, 0 skipped' 'all results there, then a bad end'

program TIMEOUT ''
expect 1 '0 passed, 1 failed, 0 skipped' 'a time-out without output'

program OK '1..2\nok 1 a\nok 2 b # SKIP not on this system\n'
expect 0 '1 passed, 0 failed, 1 skipped' 'a skipped sub-test'

program SKIP '1..0 # SKIP nothing to test\n'
program OK '1..1\nok 1 a\n'
expect 0 '1 passed, 0 failed, 1 skipped' 'a program that skips everything'

program SKIP '1..0 # SKIP nothing to test\n'
expect 1 '0 passed, 0 failed, 1 skipped' 'nothing but skips is no success'

program OK '1..2\nok 1 a\nok 2 b # SKIP missing tool: gjs\n'
expect 0 '1 passed, 0 failed, 1 skipped' 'a missing tool is a skip elsewhere'

program OK '1..2\nok 1 a\nok 2 b # SKIP missing tool: gjs\n'
expect 1 '1 passed, 1 failed, 0 skipped' 'a missing tool is a failure in CI' CI=true

program OK '1..1\nok 1 a\n'
program SKIP '1..0 # SKIP missing tool: gjs\n'
program SKIP 'missing tool: gjs\n'
expect 1 '1 passed, 2 failed, 0 skipped' 'a missing tool for a whole program in CI' CI=true

program OK '1..2\nok 1 a\nok 2 b # SKIP not on this system\n'
expect 0 '1 passed, 0 failed, 1 skipped' 'another skip is a skip in CI too' CI=true

program OK '1..2\nok 1 a\nnot ok 2 b # TODO later\n'
expect 0 '1 passed, 0 failed, 1 skipped' 'what is still to do is not a failure'

program OK '1..1\n    ok 1 - inner\n    1..1\nok 1 - outer\n'
expect 0 '1 passed, 0 failed, 0 skipped' 'an indented sub-test counts with its parent'

program OK 'fine\n'
program SKIP ''
program EXPECTEDFAIL ''
expect 0 '2 passed, 0 failed, 1 skipped' 'programs without TAP count as one'

program FAIL 'okay so far\n'
expect 1 '0 passed, 1 failed, 0 skipped' 'a program without TAP that fails'

expect 1 '0 passed, 0 failed, 0 skipped' 'an empty log is no success'

program OK '1..1\nok 1 a\n'
expect 1 '1 passed, 1 failed, 0 skipped' 'what meson calls a failure is one' CI=false --meson-status=2

echo "1..$number"
