#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Compiles a program in C++. Warnings are errors, except those from the headers of other libraries.
# usage: compile.sh SOURCE PROGRAM COMPILER [OPTION]...
# PKG_CONFIG_PATH names the directory of the library.

source=$1
program=$2
shift 2

flags=$(${PKG_CONFIG:-pkg-config} --cflags --libs sel-glib-1.0) || exit 1
others=$(${PKG_CONFIG:-pkg-config} --cflags-only-I gio-2.0 | sed 's/-I/-isystem /g')

# shellcheck disable=SC2086
exec "$@" -Wall -Wextra -Wpedantic -Wold-style-cast -Wconversion -Wsign-conversion -Wshadow -Werror \
  -o "$program" "$source" $others $flags
