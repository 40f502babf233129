# SPDX-License-Identifier: LGPL-2.1-or-later
"""Installs stubs for the rest of PyGObject, in which every name has the type Any, unless there are others.

usage: install-fallback-stubs.py DIRECTORY

A type checker that finds Sel.pyi in the directory gi-stubs does not look at the package gi itself, so it would miss
gi.require_version() and gi.repository.GLib. PyGObject's own stubs take precedence over these, also from another directory.
"""

import os
import pathlib
import sys

FALLBACK = '''\
# No types are known. Install the package PyGObject-stubs to get them.

from typing import Any

def __getattr__(name: str) -> Any: ...
'''

if os.path.isabs(sys.argv[1]):
    directory = pathlib.Path(os.environ.get('DESTDIR', '') + sys.argv[1])
else:
    directory = pathlib.Path(os.environ['MESON_INSTALL_DESTDIR_PREFIX'], sys.argv[1])

if not (directory / '__init__.pyi').exists():
    for folder in directory, directory / 'repository':
        folder.mkdir(parents=True, exist_ok=True)
        (folder / '__init__.pyi').write_text(FALLBACK)
