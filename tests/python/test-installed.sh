#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Runs the tests of the override with an installed copy, and in `meson devenv`. Prints TAP.
# usage: test-installed.sh PYTHON BUILD-DIRECTORY PREFIX OVERRIDES-DIRECTORY

here=$(cd "$(dirname "$0")" && pwd) || exit 1
python=$1
build=$2
prefix=$3
overrides=$4
# shellcheck source=tests/tap.sh
. "$here/../tap.sh"

if ! "$python" -c 'import gi' 2> /dev/null; then
  echo "1..0 # SKIP missing tool: PyGObject for $python"
  exit 0
fi

# Runs a command and prints its output as TAP comments.
quietly ()
{
  "$@" > "$work/log" 2>&1
  status=$?
  [ "$status" -eq 0 ] || sed 's/^/# /' "$work/log"
  return "$status"
}

work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
unset PYTHONPATH GI_TYPELIB_PATH LD_LIBRARY_PATH

DESTDIR=$work/root quietly meson install -C "$build" --no-rebuild --quiet
result $? "it can be installed"

root=$work/root
[ -f "$root$overrides/Sel.py" ] && [ -f "$root$overrides/sel_asyncio.py" ]
result $? "the overrides are where they were asked for"

[ -f "$root${overrides%/overrides}-stubs/repository/Sel.pyi" ] \
  && [ -f "$root${overrides%/overrides}-stubs/overrides/sel_asyncio.pyi" ] \
  && grep -q __getattr__ "$root${overrides%/overrides}-stubs/__init__.pyi"
result $? "the stubs are beside the package gi"

# The accelerator is optional when the library is built.
accelerator=no
[ -z "$(find "$build/introspection/python" -name 'sel_accelerator.*.so' 2> /dev/null)" ] || accelerator=yes
if [ "$accelerator" = yes ]; then
  [ -n "$(find "$root$overrides" -name 'sel_accelerator.*.so')" ]
  result $? "the accelerator is beside the overrides"
fi

# The interpreter finds the override by itself if the prefix is one of its own.
site=${overrides%/gi/overrides}
case $prefix in
  /usr | /usr/local) "$python" -c 'import sys; sys.exit(sys.argv[1] not in sys.path)' "$site" || [ ! -d "$site" ] ;;
  *) : ;;
esac
result $? "the interpreter looks there"

typelib=$(dirname "$(find "$root" -name 'Sel-1.0.typelib')")
library=$(dirname "$(find "$root" -name 'libsel-glib-1.0.so')")
installed ()
{
  # The installed copy only: isolated from the directory of the program and from the source tree.
  SEL_ACCELERATOR=$accelerator PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$root$site GI_TYPELIB_PATH=$typelib LD_LIBRARY_PATH=$library \
    quietly "$python" "$@"
}

installed -c '
import os, sys, gi
gi.require_version("Sel", "1.0")
from gi.repository import Sel
import selectors
assert isinstance(Sel.DefaultSelector(), selectors.BaseSelector)
import gi.overrides.Sel
for module in sys.modules["gi.overrides.Sel"], Sel.asyncio:
    assert os.path.realpath(module.__file__).startswith(os.path.realpath(sys.argv[1])), module.__file__
' "$root"
result $? "the override that is used is the installed one"

for program in test-override.py test-asyncio.py; do
  installed "$here/$program"
  result $? "$program with the installed copy"
done

quietly meson devenv -C "$build" "$python" -c '
import gi
gi.require_version("Sel", "1.0")
from gi.repository import Sel
import asyncio, selectors
assert isinstance(Sel.DefaultSelector(), selectors.BaseSelector)
Sel.asyncio.run(asyncio.sleep(0))
'
result $? "uninstalled, in meson devenv"

# An option selects another directory.
other=$work/elsewhere/gi/overrides
quietly meson setup "$work/build" "$(dirname "$(dirname "$here")")" -Dtests=false -Dexamples=false \
  -Dprefix="$work/prefix" -Dpython_overrides_dir="$other" \
  && "$python" -c '
import json, sys
with open(sys.argv[1]) as file:
    sys.exit(sys.argv[2] not in json.load(file).values())
' "$work/build/meson-info/intro-installed.json" "$other/Sel.py"
result $? "-Dpython_overrides_dir"

echo "1..$number"
