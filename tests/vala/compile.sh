#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Compiles a program in Vala. Warnings are errors, both in Vala and in the generated C. The disabled warnings come
# from Vala itself and from the vapi of GIO.
# The generated C is put beside the program, because valac would put it into the working directory.
# usage: compile.sh SOURCE PROGRAM
# VAPI_DIR and PKG_CONFIG_PATH name the directories of the library.

exec valac --fatal-warnings --target-glib=2.74 \
  --vapidir="$VAPI_DIR" --pkg=sel-glib-1.0 --pkg=gio-2.0 --pkg=posix \
  -X -Wall -X -Werror -X -Wno-pointer-sign -X -Wno-unused-variable -X -Wno-unused-but-set-variable \
  -X -Wno-unused-function -X -g \
  --directory="$(dirname "$2")" --output="$2" "$1"
