# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The types of Sel.asyncio.

import asyncio
import selectors
from collections.abc import Coroutine
from contextlib import AbstractContextManager
from typing import Any, Callable, Optional, TypeVar

from gi.repository import Gio, GLib, Sel
from typing_extensions import Self

_T = TypeVar('_T')

class EventLoop(asyncio.SelectorEventLoop):
    def __init__(
        self,
        context: Optional[GLib.MainContext] = None,
        *,
        selector: Optional[Sel.BaseSelector] = None,
        priority: int = ...,
    ) -> None: ...
    def running(
        self, quit_function: Optional[Callable[[], object]] = None
    ) -> AbstractContextManager[Self]: ...
    def paused(self) -> AbstractContextManager[None]: ...

# Python 3.14 and newer have it as long as asyncio has policies.
class EventLoopPolicy(asyncio.DefaultEventLoopPolicy):
    def get_event_loop_for_context(self, context: GLib.MainContext) -> Optional[EventLoop]: ...

def run(
    main: Coroutine[Any, Any, _T], *, debug: Optional[bool] = None, context: Optional[GLib.MainContext] = None
) -> _T: ...
async def select(
    selector: Sel.BaseSelector, timeout: float, io_priority: int, cancellable: Optional[Gio.Cancellable]
) -> list[tuple[selectors.SelectorKey, int]]: ...
