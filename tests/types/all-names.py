# SPDX-License-Identifier: LGPL-2.1-or-later
"""Uses every name of Sel.pyi, so that mypy checks its types. This program is not run. A line that ends with a comment
that ignores an error is a mistake that mypy has to find: it reports comments that ignore nothing."""

import asyncio
import selectors
import socket
from collections.abc import Mapping
from typing import Any

import gi

gi.require_version('Sel', '1.0')
from gi.repository import Gio, GLib, GObject, Sel  # noqa: E402

numbers: list[float] = [
    Sel.EVENT_READ, Sel.EVENT_WRITE, Sel.WAIT_FOREVER, Sel.MAJOR_VERSION, Sel.MINOR_VERSION, Sel.MICRO_VERSION,
    Sel.get_major_version(), Sel.get_minor_version(), Sel.get_micro_version(), Sel.fileobj_to_fd(Gio.Socket()),
    Sel.os_error_domain(), Sel.selector_error_quark(), Sel.SelectorError.quark(),
]
codes: list[Sel.SelectorError] = [
    Sel.SelectorError.FAILED, Sel.SelectorError.NOT_REGISTERED, Sel.SelectorError.ALREADY_REGISTERED,
    Sel.SelectorError.INVALID_FILE, Sel.SelectorError.INVALID_EVENTS, Sel.SelectorError.INVALID_TIMEOUT,
    Sel.SelectorError.CLOSED, Sel.SelectorError.NOT_SUPPORTED, Sel.SelectorError.BUSY, Sel.SelectorError.FORKED,
]
masks: list[Sel.EventMask] = [Sel.EventMask.READ, Sel.EventMask.WRITE]
policies: list[Sel.HangupPolicy] = [Sel.HangupPolicy.THROTTLE, Sel.HangupPolicy.REPORT, Sel.HangupPolicy.ONCE]
gtype: GObject.GType = Sel.default_selector_type()

all_selectors: list[Sel.BaseSelector] = [
    Sel.default_selector_new(), Sel.main_context_get_selector(None), Sel.DefaultSelector.new(),
    Sel.SelectSelector(), Sel.SelectSelector.new(), Sel.PollSelector(), Sel.PollSelector.new(),
    Sel.EpollSelector(max_dispatch=7, can_recurse=True), Sel.EpollSelector.new(),
    Sel.DevpollSelector(force_mirrored=True, interruptible=True), Sel.DevpollSelector.new(),
    Sel.KqueueSelector(hangup_policy=Sel.HangupPolicy.ONCE, emulate_always_ready=True), Sel.KqueueSelector.new(),
]
bools: list[bool] = [
    Sel.SelectSelector.is_supported(), Sel.PollSelector.is_supported(), Sel.EpollSelector.is_supported(),
    Sel.DevpollSelector.is_supported(), Sel.KqueueSelector.is_supported(), Sel.DefaultSelector.is_supported(),
]
numbers += [Sel.EpollSelector().fileno(), Sel.EpollSelector().get_fd(), Sel.KqueueSelector().fileno()]
numbers += [Sel.EpollSelector().props.max_dispatch, Sel.EpollSelector().props.fd]
numbers += [Sel.DevpollSelector().props.fd, Sel.KqueueSelector().props.fd]
numbers += [Sel.KqueueSelector().get_fd(), Sel.DevpollSelector().fileno(), Sel.DevpollSelector().get_fd()]
standard: selectors.BaseSelector = Sel.DefaultSelector()
Sel.NoSuchSelector()  # type: ignore


def ready(selector: Sel.BaseSelector, key: selectors.SelectorKey, events: int) -> bool:
    numbers.append(key.fd + events)
    return GLib.SOURCE_CONTINUE


def ready_with_data(selector: Sel.BaseSelector, key: selectors.SelectorKey, events: int, name: str) -> bool:
    return ready(selector, key, events)


async def wrong(selector: Sel.BaseSelector, key: selectors.SelectorKey, events: int) -> bool:
    return True


def properties(selector: Sel.BaseSelector) -> None:
    selector.set_can_recurse(selector.get_can_recurse() or selector.props.can_recurse)
    selector.set_emulate_always_ready(selector.get_emulate_always_ready() or selector.props.emulate_always_ready)
    selector.set_force_mirrored(selector.get_force_mirrored() or selector.props.force_mirrored)
    selector.set_hangup_policy(selector.get_hangup_policy() or selector.props.hangup_policy)
    selector.set_interruptible(selector.get_interruptible() or selector.props.interruptible)
    selector.set_max_dispatch(selector.get_max_dispatch() + selector.props.max_dispatch)
    bools.extend([selector.props.closed, selector.props.map is None or selector.props.map.contains(0)])
    selector.set_max_dispatch('many')  # type: ignore
    Sel.EpollSelector(no_such_property=1)  # type: ignore


def registrations(selector: Sel.BaseSelector, sock: socket.socket, gsocket: Gio.Socket) -> None:
    keys: list[selectors.SelectorKey] = [
        selector.register(sock, Sel.EVENT_READ), selector.register(gsocket, Sel.EVENT_READ | Sel.EVENT_WRITE, 'data'),
        selector.register_object(GLib.IOChannel.unix_new(0), Sel.EventMask.READ, data=None),
        selector.modify(0, Sel.EVENT_WRITE), selector.modify_object(gsocket, Sel.EVENT_WRITE, 7),
        selector.get_key(sock), selector.get_key_object(gsocket),
        selector.unregister(sock), selector.unregister_object(gsocket),
        *selector.check(),
    ]
    keys_by_file: Mapping[Any, selectors.SelectorKey] = selector.get_map()
    bools.extend([sock in keys_by_file, selector.refresh(sock), selector.modify_events(0, Sel.EventMask.READ)])
    numbers.extend(key.fd for key in keys)
    selector.register('socket', Sel.EVENT_READ)  # type: ignore
    selector.register(sock, 'read')  # type: ignore
    selector.register(sock)  # type: ignore
    selector.get_map().no_such_method()  # type: ignore


def callbacks(selector: Sel.BaseSelector, sock: socket.socket) -> None:
    numbers.append(selector.register_callback(sock, Sel.EVENT_READ, ready).fd)
    numbers.append(selector.register_callback(sock, Sel.EVENT_READ, ready_with_data, 'name').fd)
    numbers.append(selector.register_object_callback(sock, Sel.EVENT_READ, ready).fd)
    selector.register_object_callback(sock, Sel.EVENT_READ, ready_with_data, 'name')
    selector.set_callback(sock, ready)
    selector.set_callback(sock, ready_with_data, 'name')
    selector.set_callback(sock, None)
    numbers.extend([selector.attach(), selector.attach(None, 0, ready),
                    selector.attach(GLib.MainContext.default(), 0, ready_with_data, 'name'),
                    selector.attach(func=ready)])
    sources: list[GLib.Source] = [selector.create_source(), selector.create_dispatch_source(),
                                  selector.create_dispatch_source(ready),
                                  selector.create_dispatch_source(ready_with_data, 'name')]
    sources[0].set_callback(lambda: True)
    selector.register_callback(sock, Sel.EVENT_READ, wrong)  # type: ignore
    selector.register_callback(sock, Sel.EVENT_READ, ready_with_data)  # type: ignore
    selector.register_callback(sock, ready)  # type: ignore
    selector.set_callback(sock, wrong)  # type: ignore
    selector.attach(ready)  # type: ignore
    selector.create_dispatch_source(7)  # type: ignore


async def waits(cancellable: Gio.Cancellable) -> None:
    with Sel.DefaultSelector() as selector:
        selector.is_supported()
        for key, events in selector.select(timeout=1.5, cancellable=cancellable) + selector.select():
            numbers.append(key.fd + events)
        for key, events in await selector.select_async(1, GLib.PRIORITY_DEFAULT, cancellable):
            numbers.append(key.fd + events)
        found, fds, reported = selector.select_fds(0, None)
        numbers.extend([found, *fds, *reported])

        def finish(source: Sel.BaseSelector, result: Gio.AsyncResult, name: str) -> None:
            numbers.append(len(source.select_finish(result)))

        selector.select_async(1, 0, None, finish, 'name')
        selector.wakeup()
        bools.extend([selector.reinit(), selector.is_closed()])
        selector.close()
        selector.select('soon')  # type: ignore
        selector.select(cancellable)  # type: ignore
        await selector.select_async(cancellable)  # type: ignore


def objects_of_c(key: Sel.SelectorKey, event: Sel.SelectorEvent, mapping: Sel.SelectorMapping,
                 file: Sel.FileObject) -> None:
    numbers.extend([key.props.fd, key.props.events, key.props.fileobj is key.get_fileobj()])
    numbers.extend([key.get_fd(), key.get_events(), event.get_events(), event.get_key().get_fd(), file.fileno()])
    fileobj = key.get_fileobj()
    fileobj.connect('notify', print)  # type: ignore
    if fileobj is not None:
        keys = [mapping.lookup_object(fileobj), mapping.lookup(0), *mapping.get_keys()]
        bools.extend([mapping.contains(0), mapping.get_size() == len(keys), key.get_data()])


class OwnSelector(Sel.BaseSelector):

    def do_open(self) -> bool:
        return True

    def do_update(self, fd: int, old_events: Sel.EventMask, new_events: Sel.EventMask) -> bool:
        return True

    def do_wait(self, timeout: float) -> bool:
        self.report(0, Sel.EVENT_READ)
        return True

    def do_release(self, forked: bool) -> None:
        super().do_release(forked)


class OwnFile(GObject.Object, Sel.FileObject):

    def do_query_fd(self) -> tuple[bool, int]:
        return True, 0


async def main() -> int:
    return len(await Sel.asyncio.select(Sel.DefaultSelector(), Sel.WAIT_FOREVER, GLib.PRIORITY_DEFAULT, None))


def asyncio_module() -> None:
    loop: asyncio.AbstractEventLoop = Sel.asyncio.EventLoop()
    numbers.append(Sel.asyncio.run(main(), debug=True, context=GLib.MainContext.default()))
    policy = Sel.asyncio.EventLoopPolicy()
    asyncio.set_event_loop_policy(policy)
    if isinstance(policy.get_event_loop_for_context(GLib.MainContext.default()), Sel.asyncio.EventLoop):
        numbers.append(1)
    own = Sel.asyncio.EventLoop(GLib.MainContext(), selector=Sel.EpollSelector(), priority=GLib.PRIORITY_HIGH)
    with own.running() as running, own.running(GLib.MainLoop().quit), own.paused():
        running.run_until_complete(main())
    loop.close()
    asyncio.SelectorEventLoop(Sel.EpollSelector()).close()
    Sel.asyncio.EventLoop(selector=7)  # type: ignore
    Sel.asyncio.run(main)  # type: ignore
