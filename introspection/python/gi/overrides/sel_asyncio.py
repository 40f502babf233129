# SPDX-License-Identifier: LGPL-2.1-or-later
"""Sel.asyncio: asyncio on the GLib main loop.

EventLoop is an asyncio loop that waits in a GLib main context: its selector is a source of the context. So coroutines,
GTK callbacks and GLib timers run in one thread, without polling.

    Sel.asyncio.run(main())                   # asyncio runs the loop; GLib's callbacks run in it

    with asyncio.Runner(loop_factory=Sel.asyncio.EventLoop) as runner:
        with runner.get_loop().running():     # the application runs the loop; coroutines run in it
            app.run()

While a loop is running, functions such as asyncio.create_task() work in every callback of its thread.
"""

import asyncio
import contextlib
import math
import selectors
import signal
import sys
import threading

from gi.module import get_introspection_module
from gi.repository import Gio, GLib, Sel

__all__ = ['EventLoop', 'EventLoopPolicy', 'run', 'select']

# The method without the override of PyGObject, which is for programs that iterate a context themselves.
_iterate = get_introspection_module('GLib').MainContext.iteration


class _Poller(selectors.BaseSelector):
    """The selector for asyncio. select() never waits, because the main context does that."""

    def __init__(self, selector):
        self._selector = selector

    def register(self, fileobj, events, data=None):
        return self._selector.register(fileobj, events, data)

    def unregister(self, fileobj):
        return self._selector.unregister(fileobj)

    def modify(self, fileobj, events, data=None):
        return self._selector.modify(fileobj, events, data)

    def select(self, timeout=None):
        return self._selector.select(0)

    def close(self):
        self._selector.close()

    def get_key(self, fileobj):
        return self._selector.get_key(fileobj)

    def get_map(self):
        return self._selector.get_map()


def _find_context():
    """Returns the main context for this thread: the thread-default context, or the global default context in the main
    thread, or a new context."""
    context = GLib.MainContext.get_thread_default()
    if context is None and threading.current_thread() is threading.main_thread():
        context = GLib.MainContext.default()
    return context or GLib.MainContext()


class EventLoop(asyncio.SelectorEventLoop):
    """An asyncio loop that runs on a GLib.MainContext.

    context: the main context; by default the one of the thread
    selector: any Sel selector; the loop takes ownership of it
    priority: the priority of coroutines and of asyncio's callbacks in the context
    """

    def __init__(self, context=None, *, selector=None, priority=GLib.PRIORITY_DEFAULT):
        # PyGObject finds the context by this name, and then allows functions of Gio to be awaited.
        self._context = context or _find_context()
        self._sel = selector or Sel.default_selector_new()
        self._priority = priority
        self._source = None
        self._in_turn = False
        self._quit_functions = []
        self._exception = None
        super().__init__(_Poller(self._sel))

    # Callbacks that are scheduled outside of an iteration of this loop have to make the source ready.

    def call_soon(self, callback, *args, context=None):
        handle = super().call_soon(callback, *args, context=context)
        if handle._source_traceback:
            del handle._source_traceback[-1]
        if not self._in_turn:
            self._arm()
        return handle

    def call_at(self, when, callback, *args, context=None):
        handle = super().call_at(when, callback, *args, context=context)
        if handle._source_traceback:
            del handle._source_traceback[-1]
        if not self._in_turn:
            self._arm()
        return handle

    def stop(self):
        super().stop()
        if not self._in_turn:
            self._arm()

    def _arm(self):
        """Sets the time of the next iteration, in case nothing becomes ready before."""
        if self._source is None or threading.get_ident() != self._thread_id:
            return
        if self._ready or self._stopping:
            ready_time = 0
        elif self._scheduled:
            delay = math.ceil((self._scheduled[0].when() - self.time()) * 1e6)
            ready_time = min(GLib.get_monotonic_time() + delay, GLib.MAXINT64)
        else:
            ready_time = -1
        self._source.set_ready_time(ready_time)
        if ready_time != 0 and self._ready:
            # The garbage collector has run meanwhile, and a destructor has scheduled a callback.
            self._source.set_ready_time(0)

    def _take_turn(self, *unused):
        self._in_turn = True
        try:
            self._run_once()
        except BaseException as exception:
            # PyGObject only prints an exception in a GLib callback, so raise it in the function that runs the loop.
            self._exception = exception
            self._stopping = True
        finally:
            self._in_turn = False
        if not self._stopping:
            self._arm()
            return GLib.SOURCE_CONTINUE
        self._source = None
        for quit_function in reversed(self._quit_functions):
            if quit_function is not None:
                quit_function()
        return GLib.SOURCE_REMOVE

    def _start(self):
        self._check_closed()
        self._check_running()
        if not self._context.acquire():
            raise RuntimeError('The main context of this event loop runs in another thread')
        self._thread_id = threading.get_ident()
        self._set_coroutine_origin_tracking(self._debug)
        self._old_asyncgen_hooks = sys.get_asyncgen_hooks()
        sys.set_asyncgen_hooks(firstiter=self._asyncgen_firstiter_hook, finalizer=self._asyncgen_finalizer_hook)
        asyncio._set_running_loop(self)
        self._exception = None
        self._source = self._sel.create_source()
        self._source.set_name('asyncio')
        self._source.set_priority(self._priority)
        self._source.set_callback(self._take_turn)
        self._source.attach(self._context)
        self._running_source = self._source
        self._arm()

    def _finish(self):
        self._running_source.destroy()
        self._source = self._running_source = None
        self._stopping = False
        self._thread_id = None
        asyncio._set_running_loop(None)
        self._set_coroutine_origin_tracking(False)
        sys.set_asyncgen_hooks(*self._old_asyncgen_hooks)
        self._context.release()
        exception, self._exception = self._exception, None
        if exception is not None:
            try:
                raise exception
            finally:
                exception = None

    @contextlib.contextmanager
    def running(self, quit_function=None):
        """Inside this context manager, the loop runs whenever the main context is iterated.

        stop() ends it and calls quit_function, for example the quit() method of a main loop or an application. An
        exception that asyncio does not catch, such as SystemExit, stops the loop too, and is raised at the end.

        PyGObject calls this for every main loop that runs while this loop is running.
        """
        is_outermost = not self.is_running()
        if is_outermost:
            self._start()
        self._quit_functions.append(quit_function)
        try:
            with self._wake_by_signals():
                yield self
        finally:
            self._quit_functions.pop()
            if is_outermost:
                self._finish()

    @contextlib.contextmanager
    def paused(self):
        """PyGObject calls this around iterations of a main context in Python. There is nothing to pause, because an
        iteration of this loop never starts inside another one."""
        yield

    @contextlib.contextmanager
    def _wake_by_signals(self):
        """Makes signals end the wait, because Python runs signal handlers only in the interpreter."""
        try:
            old_fd = signal.set_wakeup_fd(self._csock.fileno(), warn_on_full_buffer=False)
        except ValueError:
            # Only the main thread handles signals.
            yield
            return
        try:
            yield
        finally:
            fd = signal.set_wakeup_fd(old_fd)
            if fd not in (-1, self._csock.fileno()):
                # Another part of the program has set its own descriptor meanwhile.
                signal.set_wakeup_fd(fd)

    @contextlib.contextmanager
    def _keyboard_interrupt(self):
        """Makes Ctrl-C end run_forever() also during a GLib callback, where PyGObject would only print the
        exception."""
        if (threading.current_thread() is not threading.main_thread()
                or signal.getsignal(signal.SIGINT) is not signal.default_int_handler):
            yield
            return

        def interrupt(signum, frame):
            if self._in_turn or self._exception is not None:
                raise KeyboardInterrupt
            self._exception = KeyboardInterrupt()
            self.stop()

        signal.signal(signal.SIGINT, interrupt)
        try:
            yield
        finally:
            if signal.getsignal(signal.SIGINT) is interrupt:
                signal.signal(signal.SIGINT, signal.default_int_handler)

    def run_forever(self):
        self._check_closed()
        self._check_running()
        with self._keyboard_interrupt(), self.running():
            self._context.push_thread_default()
            try:
                while self._source is not None:
                    _iterate(self._context, True)
            finally:
                self._context.pop_thread_default()

    # Use Python's own signal handlers, because a main loop of PyGObject replaces the wakeup descriptor.

    def add_signal_handler(self, sig, callback, *args):
        super().add_signal_handler(sig, callback, *args)
        signal.signal(sig, lambda signum, frame: self._handle_signal(signum))
        signal.siginterrupt(sig, False)

    def remove_signal_handler(self, sig):
        removed = super().remove_signal_handler(sig)
        if removed and self.is_running() and not self._signal_handlers:
            # Signal handlers of other parts of the program have to end the wait, too.
            signal.set_wakeup_fd(self._csock.fileno(), warn_on_full_buffer=False)
        return removed

    def _process_self_data(self, data):
        pass


def run(main, *, debug=None, context=None):
    """asyncio.run() on a GLib main context."""
    with asyncio.Runner(debug=debug, loop_factory=lambda: EventLoop(context)) as runner:
        return runner.run(main)


async def select(selector, timeout, io_priority, cancellable):
    """The coroutine of selector.select_async(). When it is cancelled, it waits for the end of the asynchronous wait, so
    that another one can start."""
    done = asyncio.get_running_loop().create_future()
    own_cancellable = Gio.Cancellable()
    handler = 0 if cancellable is None else cancellable.connect(own_cancellable.cancel)

    def finish(selector, result):
        if not done.done():
            done.set_result(result)

    selector.select_async(timeout, io_priority, own_cancellable, finish)
    try:
        await asyncio.shield(done)
    except asyncio.CancelledError:
        own_cancellable.cancel()
        await done
        raise
    finally:
        if handler:
            cancellable.disconnect(handler)
    return selector.select_finish(done.result())


class EventLoopPolicy(asyncio.DefaultEventLoopPolicy):
    """Creates an EventLoop wherever asyncio creates a loop by itself."""

    _loop_factory = EventLoop
