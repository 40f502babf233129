#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Tests the installed library with JavaScript, Vala and C, and the build tree with meson devenv. Prints TAP.
# usage: test-installed.sh SOURCE-DIRECTORY BUILD-DIRECTORY PREFIX LIBDIR DATADIR

source=$1
build=$2
prefix=$3
# Not in TMPDIR: a prefix in a pkg-config file must not contain spaces.
work=$(mktemp -d "$build/tests/installed-XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT

root=$work/root
libdir=$root$prefix/$4
datadir=$root$prefix/$5
log=$work/log
number=0

# A build tree or another installation may have set these variables.
unset GJS_PATH GI_TYPELIB_PATH PKG_CONFIG_PATH VAPI_DIR LD_LIBRARY_PATH XDG_DATA_DIRS

report ()
{
  status=$?
  number=$((number + 1))
  [ "$status" -eq 0 ] || { sed 's/^/# /' "$log"; printf 'not '; }
  echo "ok $number /installed/$*"
}

skip ()
{
  number=$((number + 1))
  echo "ok $number /installed/$1 # SKIP missing tool: $2"
}

have ()
{
  command -v "$1" > /dev/null 2>&1
}

installed ()
{
  env LD_LIBRARY_PATH="$libdir" GI_TYPELIB_PATH="$libdir/girepository-1.0" PKG_CONFIG_PATH="$work" \
    VAPI_DIR="$datadir/vala/vapi" "$@"
}

# Prints "function" if the override is in effect.
says_default='print(typeof imports.gi.Sel.DefaultSelector)'

echo 1..9

meson install -C "$build" --destdir "$root" --no-rebuild > "$log" 2>&1
report "meson install"

# The files are installed below DESTDIR, so the prefix in the pkg-config file must be changed.
sed "s|^prefix=.*|prefix=$root$prefix|" "$libdir/pkgconfig/sel-glib-1.0.pc" > "$work/sel-glib-1.0.pc"

# shellcheck disable=SC2046
{
  ${CC:-cc} "$source/examples/hello.c" -o "$work/hello" \
    $(installed ${PKG_CONFIG:-pkg-config} --cflags --libs sel-glib-1.0) && installed "$work/hello"
} > "$log" 2>&1
report "C"

if have gjs; then
  installed env XDG_DATA_DIRS="$datadir:/usr/local/share:/usr/share" G_DEBUG=fatal-criticals \
    gjs -m "$source/tests/gjs/test-gjs.js" > "$log" 2>&1
  report "JavaScript"

  # Without the directory of the installation, gjs finds no override that the test above could have used.
  installed env XDG_DATA_DIRS=/nowhere gjs -c "$says_default" > "$log" 2>&1
  grep -q undefined "$log"
  report "JavaScript without the override"

  meson devenv -C "$build" gjs -c "$says_default" > "$log" 2>&1
  grep -q function "$log"
  report "JavaScript in meson devenv"
else
  for name in "JavaScript" "JavaScript without the override" "JavaScript in meson devenv"; do
    skip "$name" gjs
  done
fi

[ -f "$datadir/sel-glib-1.0/Sel.d.ts" ] > "$log" 2>&1
report "types for TypeScript"

if have valac && have vapigen; then
  { installed "$source/tests/vala/compile.sh" "$source/tests/vala/test-vala.vala" "$work/vala" \
      && installed "$work/vala" --tap; } > "$log" 2>&1
  report "Vala"
  grep -q gio-2.0 "$datadir/vala/vapi/sel-glib-1.0.deps"
  report "Vala's dependencies"
else
  skip "Vala" valac
  skip "Vala's dependencies" valac
fi

{
  meson setup "$work/other" "$source" --prefix="$prefix" -Dtests=false -Dexamples=false \
    -Dgjs_overrides_dir=/elsewhere/gjs && meson introspect "$work/other" --installed
} > "$log" 2>&1
grep -q '"/elsewhere/gjs/Sel.js"' "$log"
report "other places"
