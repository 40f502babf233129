# shellcheck shell=sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Shared by shell scripts that print TAP; to be sourced. The script itself prints the plan, "1..$number".

number=0

# usage: result STATUS NAME
result ()
{
  number=$((number + 1))
  [ "$1" -eq 0 ] || printf 'not '
  echo "ok $number $2"
}
