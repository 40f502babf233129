# SPDX-License-Identifier: LGPL-2.1-or-later

import enum

class GType: ...
class GInterface: ...

# mypy 1.15 does not accept an enumeration without members in a stub.
GEnum = enum.IntEnum
GFlags = enum.IntFlag

class Object:
    def __init__(self, **properties: object) -> None: ...
    def connect(self, detailed_signal: str, handler: object, *args: object) -> int: ...
