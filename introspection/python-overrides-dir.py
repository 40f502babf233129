# SPDX-License-Identifier: LGPL-2.1-or-later
"""Prints the directory under a prefix in which this interpreter finds overrides for PyGObject.

usage: python-overrides-dir.py PREFIX
"""

import os
import site
import sys

prefix = os.path.normpath(sys.argv[1])
lib = os.path.join(prefix, 'lib', '')
found = [path for path in site.getsitepackages() if path.startswith(lib)]
# If the interpreter searches no directory under the prefix, use the conventional one. PYTHONPATH has to contain it.
default = os.path.join(prefix, 'lib', 'python%d.%d' % sys.version_info[:2], 'site-packages')

print(os.path.join((found or [default])[0], 'gi', 'overrides'))
