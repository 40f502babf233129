# SPDX-License-Identifier: LGPL-2.1-or-later
"""The directory of the library and its typelib in a Python environment.

sel-glib.pth imports this module when the interpreter starts, so that gi.repository.Sel is found. GLib reads the variable
when gi is imported first.
"""

import os

os.environ['GI_TYPELIB_PATH'] = os.pathsep.join(
    filter(None, [os.path.dirname(os.path.abspath(__file__)), os.environ.get('GI_TYPELIB_PATH')]))
