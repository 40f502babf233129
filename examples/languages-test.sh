#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Tests the echo servers in JavaScript and Vala with the client in C, and the examples in languages/. Prints TAP.
# usage: languages-test.sh CLIENT VALA-COMPILE-SCRIPT CPP-COMPILE-SCRIPT

here=$(dirname "$0")
client=$1
compile=$2
compile_cpp=$3
# shellcheck source=tests/tap.sh
. "$here/../tests/tap.sh"
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

skip ()
{
  result 0 "an echo server in $1 # SKIP missing tool: $2"
}

pair ()
{
  "$here/echo-pair.sh" "$@" > "$work/log" 2>&1
  status=$?
  sed 's/^/# /' "$work/log"
  return "$status"
}

test_server ()
{
  for backend in default select; do
    pair "$2" "$client" "$backend" --connections=100 --patience=20
    result $? "an echo server in $1 over $backend"
    grep -q 'try: nc 127.0.0.1 [0-9]' "$work/log"
    result $? "it says what to try"
  done

  pair "$2" "$client" default --connections=20 --messages=3 --patience=20 --slow-readers
  result $? "an echo server in $1 with clients that are slow to read"

  "$2" --backend=nonsense > /dev/null 2>&1
  [ $? -ne 0 ]
  result $? "it refuses an unknown backend"

  "$2" --help | grep -q -- --backend && "$2" --version | grep -q 'sel-glib [0-9]'
  result $? "it tells its options and its version"
}

if command -v gjs > /dev/null 2>&1; then
  test_server JavaScript "$here/echo-server.js"
else
  skip JavaScript gjs
fi

if command -v valac > /dev/null 2>&1 && command -v vapigen > /dev/null 2>&1; then
  "$compile" "$here/echo-server.vala" "$work/echo-server" >&2
  result $? "an echo server in Vala is compiled without a warning"
  test_server Vala "$work/echo-server"
else
  skip Vala valac
fi

# usage: run_hello LANGUAGE PROGRAM...
run_hello ()
{
  name=$1
  shift
  "$@" > "$work/log" 2>&1 && grep -q '^descriptor [0-9]' "$work/log"
  result $? "an example in $name"
  sed 's/^/# /' "$work/log"
}

# usage: test_hello LANGUAGE SCRIPT CHECK-OF-THE-BINDING INTERPRETER...
test_hello ()
{
  language=$1
  script=$here/languages/$2
  check=$3
  shift 3
  for interpreter in "$@"; do
    if "$interpreter" -e "$check" > /dev/null 2>&1; then
      run_hello "$language" "$interpreter" "$script"
      return
    fi
  done
  result 0 "an example in $language # SKIP no interpreter has the binding"
}

test_hello Lua hello.lua 'assert(require "lgi")' lua5.4 lua5.3 lua5.1 lua
test_hello Perl hello.pl 'use Glib::Object::Introspection;' /usr/bin/perl perl
test_hello Ruby hello.rb 'require "gobject-introspection"' /usr/bin/ruby ruby

if command -v "${CXX:-c++}" > /dev/null 2>&1; then
  "$compile_cpp" "$here/languages/hello.cc" "$work/hello" "${CXX:-c++}" -std=c++11 >&2
  result $? "an example in C++ is compiled without a warning"
  run_hello C++ "$work/hello"
else
  result 0 "an example in C++ # SKIP missing tool: c++"
fi

if command -v valac > /dev/null 2>&1 && command -v vapigen > /dev/null 2>&1; then
  "$compile" "$here/languages/hello.gs" "$work/hello" >&2
  result $? "an example in Genie is compiled without a warning"
  run_hello Genie "$work/hello"
else
  result 0 "an example in Genie # SKIP missing tool: valac"
fi

echo "1..$number"
