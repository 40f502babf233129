# SPDX-License-Identifier: LGPL-2.1-or-later

from typing import Any, Callable

PRIORITY_DEFAULT: int
PRIORITY_HIGH: int
SOURCE_CONTINUE: bool
SOURCE_REMOVE: bool

class Error(RuntimeError): ...

class IOChannel:
    @staticmethod
    def unix_new(fd: int) -> IOChannel: ...
    def unix_get_fd(self) -> int: ...

class MainContext:
    @staticmethod
    def default() -> MainContext: ...

class MainLoop:
    def run(self) -> None: ...
    def quit(self) -> None: ...

class Source:
    def set_callback(self, func: Callable[..., bool], *args: object) -> None: ...

def timeout_add(interval: int, function: Callable[..., bool], *args: Any) -> int: ...
