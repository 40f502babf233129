# shellcheck shell=sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What shell scripts that print TAP share; to be sourced. The plan, "1..$number", is theirs.

number=0

# usage: result STATUS NAME
result ()
{
  number=$((number + 1))
  [ "$1" -eq 0 ] || printf 'not '
  echo "ok $number $2"
}
