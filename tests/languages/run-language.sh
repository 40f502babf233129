#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Runs a test in Lua, Perl or Ruby with the first interpreter that has the binding. Prints TAP.
# usage: run-language.sh lua|perl|ruby SCRIPT [valgrind]

language=$1
script=$2

case $language in
  lua)
    interpreters='lua5.4 lua5.3 lua5.1 lua'
    check='assert(require "lgi")'
    binding=lua-lgi
    ;;
  perl)
    interpreters='/usr/bin/perl perl'
    check='use Glib::Object::Introspection; use Test::More;'
    binding=libglib-object-introspection-perl
    ;;
  ruby)
    interpreters='/usr/bin/ruby ruby'
    check='require "gobject-introspection"'
    binding=ruby-gobject-introspection
    ;;
  *)
    echo "unknown language: $language" >&2
    exit 1
    ;;
esac

found=
for interpreter in $interpreters; do
  if "$interpreter" -e "$check" > /dev/null 2>&1; then
    found=$interpreter
    break
  fi
done

if [ -z "$found" ]; then
  echo "1..0 # SKIP missing: $binding"
  exit 0
fi

if [ "${3-}" != valgrind ]; then
  exec "$found" "$script"
fi

if ! command -v valgrind > /dev/null 2>&1; then
  echo "1..0 # SKIP missing tool: valgrind"
  exit 0
fi

# Reading freed memory is an error here. Leaks are not, because the interpreters keep memory until the end.
# Uninitialised memory is not, because lgi itself reads it.
G_SLICE=always-malloc ROUNDS=5 exec valgrind --quiet --leak-check=no --undef-value-errors=no --error-exitcode=9 \
  "$found" "$script"
