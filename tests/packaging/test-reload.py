#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Unloads the shared library and loads it again, as a plug-in does. Prints TAP.

usage: test-reload.py LIBRARY

GLib keeps the types that the library has registered, so the library has to stay loaded, as GLib does.
"""

import shutil
import subprocess
import sys

RELOAD = '''
import _ctypes, ctypes, sys
for _ in range(3):
    library = ctypes.CDLL(sys.argv[1])
    library.sel_default_selector_new.restype = ctypes.c_void_p
    selector = library.sel_default_selector_new(None)
    assert selector
    library.sel_base_selector_close(ctypes.c_void_p(selector))
    _ctypes.dlclose(library._handle)
'''


def is_marked(library):
    output = subprocess.run(['readelf', '--dynamic', '--wide', library],
                            check=True, stdout=subprocess.PIPE, universal_newlines=True).stdout
    return any('FLAGS_1' in line and 'NODELETE' in line for line in output.splitlines())


def main():
    library = sys.argv[1]
    result = subprocess.run([sys.executable, '-c', RELOAD, library])
    print('1..2')
    print('%s 1 the library can be unloaded and loaded again' % ('not ok' if result.returncode else 'ok'))
    if not shutil.which('readelf'):
        print('ok 2 the library is marked as NODELETE # SKIP missing tool: readelf')
    else:
        print('%s 2 the library is marked as NODELETE' % ('ok' if is_marked(library) else 'not ok'))


main()
