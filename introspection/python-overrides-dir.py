# SPDX-License-Identifier: LGPL-2.1-or-later
"""Prints where this interpreter finds overrides of PyGObject that are installed under a prefix.

usage: python-overrides-dir.py PREFIX
"""

import os
import site
import sys

prefix = os.path.normpath(sys.argv[1])
lib = os.path.join(prefix, 'lib', '')
found = [path for path in site.getsitepackages() if path.startswith(lib)]
# Where the interpreter does not look by itself, PYTHONPATH has to name the conventional place.
default = os.path.join(prefix, 'lib', 'python%d.%d' % sys.version_info[:2], 'site-packages')

print(os.path.join((found or [default])[0], 'gi', 'overrides'))
