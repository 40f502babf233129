# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A small replacement of PyGObject's stubs, with what Sel.pyi and the examples use.

def require_version(namespace: str, version: str) -> None: ...
