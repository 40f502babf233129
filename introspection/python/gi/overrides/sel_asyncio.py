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

import _signal
import asyncio
import contextlib
import functools
import math
import os
import selectors
import signal
import sys
import threading

from gi import _ossighelper
from gi.module import get_introspection_module
from gi.repository import Gio, GLib, Sel

from .Sel import first_main_thread, load_accelerator

__all__ = ['EventLoop', 'run', 'select']
if 'DefaultEventLoopPolicy' in vars(asyncio):
    __all__.append('EventLoopPolicy')

_nothing = contextlib.nullcontext()

# The longest time that a loop waits for a timer, in seconds, as in the standard library.
_MAX_DELAY = 24 * 3600

# The method without the override of PyGObject, which is for programs that iterate a context themselves.
_iterate_context = get_introspection_module('GLib').MainContext.iteration


def _iterate(loop):
    """Runs one iteration of the main context of a running loop, which may block."""
    _iterate_context(loop._context, True)


def _can_use_default_context():
    """True if this is the main thread, except in a child process for which GLib believes that a thread of the parent,
    which does not exist here, owns the default context."""
    thread = threading.main_thread()
    if threading.current_thread() is not thread:
        return False
    if thread is first_main_thread:
        return True
    context = GLib.MainContext.default()
    if not context.acquire():
        return False
    context.release()
    return True


# The methods of asyncio that the turn of the accelerator does not call.
_TURN_METHODS = '_run_once', '_process_events', '_add_callback', '_remove_reader', '_remove_writer'


@functools.lru_cache(16)
def _are_of_asyncio(*functions):
    """True if none of the functions is one of a subclass, or of a tool that finds slow callbacks."""
    # A function that is not written in Python has no such attribute.
    return all(getattr(function, '__globals__', {}).get('__name__', '').startswith('asyncio.')
               for function in functions)


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


class _Raiser:
    """In place of the context of a handle, raises an exception again. Later calls run in the context."""

    def __init__(self, context, exception):
        self._context = context
        self._exception = exception

    def run(self, *args):
        exception, self._exception = self._exception, None
        if exception is not None:
            raise exception
        return self._context.run(*args)


class _Turn:
    """The callback of the source of a loop. PyGObject only prints exceptions of callbacks, so none may leave it. The
    library drops it when it takes the source out of the main loop."""

    def __init__(self, loop):
        self._loop = loop

    def __call__(self, *unused):
        try:
            return self._loop._take_turn()
        except BaseException as exception:
            self._loop._fail(exception)
            self._loop._end()
            return GLib.SOURCE_REMOVE

    def __del__(self):
        self._loop._check_source_later()


class EventLoop(asyncio.SelectorEventLoop):
    """An asyncio loop that runs on a GLib.MainContext.

    context: the main context; by default the thread that runs the loop chooses it: its thread-default context, or the
        global default context in the main thread, or a new one
    selector: any Sel selector; the loop takes ownership of it, and closes it
    priority: the priority (int) of coroutines and of asyncio's callbacks in the context

    Each iteration of the context runs one turn of asyncio at most."""

    def __init__(self, context=None, *, selector=None, priority=GLib.PRIORITY_DEFAULT):
        self._given_context = context
        self._own_context = None
        # Of the last run. PyGObject finds the context by this name, and then allows functions of Gio to be awaited.
        self._context = context
        self._sel = Sel.default_selector_new() if selector is None else selector
        if not isinstance(self._sel, Sel.BaseSelector):
            # This is for __del__().
            self._closed = True
            raise TypeError('Not a selector of Sel: {!r}'.format(selector))
        self._priority = priority
        self._source = self._running_source = None
        self._ended = True
        self._in_python_turn = False
        self._quit_functions = []
        self._turn_quit_functions = []
        self._exception = None
        self._outer_wakeup_fd = -1
        super().__init__(_Poller(self._sel))

    def _find_context(self):
        """Returns the main context on which this thread runs the loop."""
        context = self._given_context or GLib.MainContext.get_thread_default()
        if context is None and _can_use_default_context():
            context = GLib.MainContext.default()
        if context is None:
            # The same in each run, so that functions of Gio that one run has begun can end in the next one.
            context = self._own_context = self._own_context or GLib.MainContext()
        return context

    # Callbacks that are scheduled outside of an iteration of this loop have to make the source ready.

    def call_soon(self, callback, *args, context=None):
        """Schedules callback(*args) for the next turn. Returns an asyncio.Handle.

        context is a contextvars.Context; None is the current one. Only the thread of the loop may call this, also in
        callbacks of GLib. Raises RuntimeError if the loop is closed."""
        handle = super().call_soon(callback, *args, context=context)
        if handle._source_traceback:
            del handle._source_traceback[-1]
        if not self._in_turn:
            self._arm()
        return handle

    def call_at(self, when, callback, *args, context=None):
        """Schedules callback(*args) for a time of time(), in seconds. Returns an asyncio.TimerHandle.

        A time in the past, or that is not a number, means the next turn. An infinite one never comes."""
        handle = super().call_at(when, callback, *args, context=context)
        if handle._source_traceback:
            del handle._source_traceback[-1]
        if not self._in_turn:
            self._arm()
        return handle

    def stop(self):
        """Ends run_forever() and running() after the current turn, and quits the main loops that run in them."""
        super().stop()
        if self._in_turn:
            # A callback of asyncio may have run main loops, which have to end before the turn can.
            self._quit(self._turn_quit_functions)
        else:
            self._arm()

    def _arm(self):
        """Sets the time of the next iteration, in case nothing becomes ready before."""
        if self._source is None or threading.get_ident() != self._thread_id:
            return
        if self._ready or self._stopping:
            ready_time = 0
        elif self._scheduled:
            # max() in this order makes 0 of a time that is not a number.
            delay = min(max(0, self._scheduled[0].when() - self.time()), _MAX_DELAY)
            ready_time = GLib.get_monotonic_time() + math.ceil(delay * 1e6)
        else:
            ready_time = -1
        self._source.set_ready_time(ready_time)
        if ready_time != 0 and self._ready:
            # The garbage collector has run meanwhile, and a destructor has scheduled a callback.
            self._source.set_ready_time(0)

    @property
    def _in_turn(self):
        """True while a turn runs. The accelerator counts its turns itself."""
        if _accelerator is None:
            return self._in_python_turn
        return self._running_source is not None and bool(self._running_source.in_turn)

    def _take_turn(self, *unused):
        """Takes a turn. Returns False if the loop has ended."""
        self._in_python_turn = True
        try:
            self._run_once()
            if not self._stopping:
                self._arm()
        except BaseException as exception:
            self._fail(exception)
        finally:
            self._in_python_turn = False
        if not self._stopping:
            return GLib.SOURCE_CONTINUE
        self._end()
        return GLib.SOURCE_REMOVE

    def _fail(self, exception):
        """Stops the loop. The function that runs it raises the exception."""
        if self._exception is None:
            self._exception = exception
        self._stopping = True

    def _end(self):
        self._ended = True
        self._source = None
        self._quit(self._quit_functions)

    def _quit(self, functions):
        for function in reversed(functions):
            try:
                if function is not None:
                    function()
            except BaseException as exception:
                self._fail(exception)

    def _report(self, handle, exception):
        """Handles an exception of a callback as the standard library does, by which it is raised again."""
        context = handle._context
        has_arguments = handle._args is not None
        handle._context = _Raiser(context, exception)
        if not has_arguments:
            # The callback has cancelled its handle, which cannot run without arguments.
            handle._args = ()
        try:
            handle._run()
        finally:
            # The handle of a reader is called again.
            handle._context = context
            if not has_arguments:
                handle._args = None

    def _is_plain(self):
        """True if nothing has replaced a part of the turn that the accelerator takes: no subclass, no attribute of an
        object, and no function in place of one of asyncio."""
        cls = type(self)
        return (type(self._selector) is _Poller and type(self._sel).select is Sel.BaseSelector.select
                and 'select' not in self._selector.__dict__ and 'select' not in self._sel.__dict__
                and self.__dict__.keys().isdisjoint(_TURN_METHODS)
                and _are_of_asyncio(asyncio.Handle._run, *[getattr(cls, name) for name in _TURN_METHODS]))

    def _attach(self):
        if _accelerator is not None:
            self._source = self._running_source = _accelerator.LoopSource(
                self, self._sel, self._context, self._priority, self._is_plain())
            self._arm()
            return
        self._source = self._running_source = self._sel.create_source()
        if self._source.is_destroyed():
            raise ValueError('The selector of this event loop is closed')
        self._source.set_name('asyncio')
        self._source.set_priority(self._priority)
        self._source.set_callback(_Turn(self))
        self._source.attach(self._context)
        self._arm()

    def _detach(self):
        source, self._source, self._running_source = self._running_source, None, None
        if source is not None:
            source.destroy()

    def _check_source_later(self):
        """The library has perhaps taken the source out of the main loop."""
        if self._source is not None:
            source = GLib.idle_source_new()
            source.set_priority(self._priority)
            source.set_callback(self._check_source)
            source.attach(self._context)

    def _check_source(self, *unused):
        if self._source is not None and self._source.is_destroyed():
            self._lose_selector()
        return GLib.SOURCE_REMOVE

    def _lose_selector(self):
        """The selector was closed, or does not work any more, so that the source was taken out of the main loop."""
        try:
            self._sel.select(0)
            raise RuntimeError('The selector of this event loop does not work any more')
        except BaseException as exception:
            self._fail(exception)
        if not self._in_turn:
            self._end()

    def _start(self):
        self._check_closed()
        self._check_running()
        context = self._find_context()
        if not context.acquire():
            raise RuntimeError('The main context of this event loop runs in another thread')
        self._context = context
        self._thread_id = threading.get_ident()
        self._set_coroutine_origin_tracking(self._debug)
        self._old_asyncgen_hooks = sys.get_asyncgen_hooks()
        sys.set_asyncgen_hooks(firstiter=self._asyncgen_firstiter_hook, finalizer=self._asyncgen_finalizer_hook)
        asyncio._set_running_loop(self)
        self._exception = None
        self._ended = False
        try:
            self._attach()
        except BaseException as exception:
            self._fail(exception)
            # It raises the exception.
            self._finish()

    def _finish(self):
        self._ended = True
        self._detach()
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
        quit_functions = self._turn_quit_functions if self._in_turn else self._quit_functions
        quit_functions.append(quit_function)
        try:
            with self._wake_by_signals(), self._handle_signals_in_turn(quit_function) if self._in_turn else _nothing:
                yield self
        finally:
            quit_functions.pop()
            if is_outermost:
                self._finish()

    @contextlib.contextmanager
    def paused(self):
        """Inside this context manager, iterating the main context runs no callback and no coroutine of this loop.

        PyGObject 3.50 and newer calls this around GLib.MainContext.iteration(), so that a callback of GLib that
        iterates the context is not interrupted by coroutines."""
        if self._in_turn or self._source is None or threading.get_ident() != self._thread_id:
            # Either no turn can begin, or the loop does not run or is paused already.
            yield
            return
        self._detach()
        try:
            yield
        finally:
            if not self._ended:
                self._resume()

    def _resume(self):
        try:
            self._attach()
        except BaseException as exception:
            self._fail(exception)
            self._end()

    @contextlib.contextmanager
    def _wake_by_signals(self):
        """Makes signals end the wait, because Python runs signal handlers only in the interpreter.

        The descriptor that another part of the program has set before gets the numbers of the signals, too."""
        own_fd = self._csock.fileno()
        try:
            old_fd = signal.set_wakeup_fd(own_fd, warn_on_full_buffer=False)
        except ValueError:
            # Only the main thread handles signals.
            yield
            return
        outer_fd = self._outer_wakeup_fd
        if old_fd != own_fd:
            self._outer_wakeup_fd = old_fd
        try:
            yield
        finally:
            self._outer_wakeup_fd = outer_fd
            fd = signal.set_wakeup_fd(old_fd)
            if fd not in (-1, own_fd):
                # Another part of the program has set its own descriptor meanwhile.
                signal.set_wakeup_fd(fd)

    @contextlib.contextmanager
    def _handle_signals_in_turn(self, quit_function):
        """Makes signals end the wait of a main loop that a coroutine runs, although the selector is not polled then.

        If the handler of Ctrl-C raises KeyboardInterrupt, as asyncio's Runner does at the second one, that main loop
        ends, and the exception is raised at its end. PyGObject would only print it."""
        if quit_function is None or threading.current_thread() is not threading.main_thread():
            yield
            return

        def interrupt(signum, frame):
            try:
                handler(signum, frame)
            except KeyboardInterrupt as exception:
                exceptions.append(exception)
                self._quit(self._turn_quit_functions)

        exceptions = []
        handler = _signal.getsignal(signal.SIGINT)
        if callable(handler):
            _signal.signal(signal.SIGINT, interrupt)
        with Sel.PollSelector() as selector:
            selector.register(self._ssock, selectors.EVENT_READ)
            source = selector.create_source()
            source.set_callback(lambda *unused: self._read_from_self() or GLib.SOURCE_CONTINUE)
            source.attach(self._context)
            try:
                yield
            finally:
                source.destroy()
                if _signal.getsignal(signal.SIGINT) is interrupt:
                    _signal.signal(signal.SIGINT, handler)
        if exceptions:
            raise exceptions[0]

    @contextlib.contextmanager
    def _keyboard_interrupt(self):
        """Makes Ctrl-C end run_forever() also during a GLib callback, where PyGObject would only print the
        exception."""
        # The functions of the module signal convert each handler to an enumeration, which takes a third of the time of
        # a short run.
        if (threading.current_thread() is not threading.main_thread()
                or _signal.getsignal(signal.SIGINT) is not signal.default_int_handler):
            yield
            return

        def interrupt(signum, frame):
            if self._exception is not None or (self._in_turn and not self._turn_quit_functions):
                raise KeyboardInterrupt
            self._exception = KeyboardInterrupt()
            self.stop()

        _signal.signal(signal.SIGINT, interrupt)
        try:
            yield
        finally:
            if _signal.getsignal(signal.SIGINT) is interrupt:
                _signal.signal(signal.SIGINT, signal.default_int_handler)

    def run_forever(self):
        """Runs the main context until stop() is called.

        Raises what asyncio does not handle, such as KeyboardInterrupt and SystemExit, and RuntimeError if the loop is
        closed, another loop runs in this thread, or another thread owns the context."""
        self._check_closed()
        self._check_running()
        with self._keyboard_interrupt(), self.running():
            self._context.push_thread_default()
            try:
                while not self._ended:
                    _iterate(self)
            finally:
                self._context.pop_thread_default()

    # Use Python's own signal handlers, because a main loop of PyGObject replaces the wakeup descriptor.

    def add_signal_handler(self, sig, callback, *args):
        """Calls callback(*args) in the loop when the signal comes. Only in the main thread.

        Raises ValueError for an invalid signal, and RuntimeError if it cannot be caught."""
        super().add_signal_handler(sig, callback, *args)
        signal.signal(sig, lambda signum, frame: self._handle_signal(signum))
        signal.siginterrupt(sig, False)

    def remove_signal_handler(self, sig):
        """Removes the handler of a signal. Returns False if there was none."""
        removed = super().remove_signal_handler(sig)
        if removed and self.is_running() and not self._signal_handlers:
            # Signal handlers of other parts of the program have to end the wait, too.
            signal.set_wakeup_fd(self._csock.fileno(), warn_on_full_buffer=False)
        return removed

    def _process_self_data(self, data):
        """Handles what wakes the loop: zeros of other threads, and the numbers of signals."""
        signals = data.replace(b'\0', b'')
        if not signals or self._outer_wakeup_fd < 0:
            return
        own_fd = self._csock.fileno()
        fd = signal.set_wakeup_fd(own_fd, warn_on_full_buffer=False)
        if fd != own_fd:
            # Another part of the program has set its own descriptor meanwhile, or has closed the one of before.
            signal.set_wakeup_fd(fd)
            return
        with contextlib.suppress(OSError):
            os.write(self._outer_wakeup_fd, signals)


_accelerator = load_accelerator()
if _accelerator is not None:
    _accelerator.accelerate_loop(EventLoop, asyncio.Handle, asyncio.TimerHandle)
    _iterate = _accelerator.iterate


def run(main, *, debug=None, context=None):
    """asyncio.run() on a GLib main context. Returns the result of the coroutine, or raises its exception.

    main: the coroutine
    debug: True or False sets the debug mode of the loop; None leaves it
    context: a GLib.MainContext; by default the one of the thread"""
    with asyncio.Runner(debug=debug, loop_factory=lambda: EventLoop(context)) as runner:
        return runner.run(main)


async def select(selector, timeout, io_priority, cancellable):
    """The coroutine of selector.select_async(), with the same arguments and result. When it is cancelled, it waits for
    the end of the asynchronous wait, so that another one can start."""
    loop = asyncio.get_running_loop()
    # Sources of GLib call the coroutines of other loops that run on a main loop. Other loops would wait for ever.
    if not isinstance(loop, EventLoop) and GLib.main_depth() == 0:
        raise RuntimeError('select_async() needs a loop that runs on a GLib main loop, for example with '
                           'Sel.asyncio.run(): {!r}'.format(loop))
    done = loop.create_future()
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


def _make_policy():
    try:
        base = asyncio.DefaultEventLoopPolicy
    except AttributeError:
        raise AttributeError('This version of Python has no event loop policies, so there is no EventLoopPolicy; use '
                             'asyncio.Runner(loop_factory=Sel.asyncio.EventLoop)') from None

    class EventLoopPolicy(base):
        """Creates an EventLoop wherever asyncio creates a loop by itself.

        Python 3.14 deprecates policies; use asyncio.Runner(loop_factory=EventLoop) instead."""

        __module__ = __name__
        __qualname__ = 'EventLoopPolicy'
        _loop_factory = EventLoop

        def get_event_loop_for_context(self, context):
            """Returns the loop of this thread if it runs on this GLib.MainContext, or None.

            PyGObject 3.50 and newer calls this when a main loop or an application is run while no loop is running. So
            coroutines run in GLib.MainLoop.run() and Gio.Application.run()."""
            try:
                loop = self.get_event_loop()
            except RuntimeError:
                return None
            return loop if isinstance(loop, EventLoop) and loop._find_context() == context else None

    return EventLoopPolicy


def __getattr__(name):
    # A class that is made at the first use, because later versions of Python warn about policies, and then have none.
    if name != 'EventLoopPolicy':
        raise AttributeError('module {!r} has no attribute {!r}'.format(__name__, name))
    globals()[name] = policy = _make_policy()
    return policy


def _replace_in_pygobject(name, function):
    for module in [_ossighelper] + [sys.modules['gi.overrides.' + override] for override in ('GLib', 'Gio', 'Gtk')
                                    if 'gi.overrides.' + override in sys.modules]:
        if hasattr(module, name):
            setattr(module, name, function)


def _follow_main_loops():
    """Makes PyGObject before 3.50 call running() for main loops, as newer versions do.

    PyGObject enters register_sigint_fallback() with the function that quits the main loop, whenever it runs one."""
    register = _ossighelper.register_sigint_fallback

    @contextlib.contextmanager
    def register_sigint_fallback(quit_function):
        owner = getattr(quit_function, '__self__', None)
        context = owner.get_context() if isinstance(owner, GLib.MainLoop) else GLib.MainContext.default()
        loop = asyncio._get_running_loop()
        with contextlib.ExitStack() as stack:
            stack.enter_context(register(quit_function))
            if isinstance(loop, EventLoop) and loop._context == context:
                stack.enter_context(loop.running(quit_function))
            yield

    _replace_in_pygobject('register_sigint_fallback', register_sigint_fallback)


def _join_main_loops():
    """Makes PyGObject call running() and paused() for the loops of this module.

    PyGObject 3.50 asks the policy for its loop. PyGObject 3.58 asks no policy, and takes loops of its own class only."""
    find = _ossighelper.get_event_loop

    def get_event_loop(context):
        loop = asyncio._get_running_loop()
        if loop is None and 'EventLoopPolicy' in globals():
            policy = getattr(asyncio.events, '_event_loop_policy', None)
            if isinstance(policy, globals()['EventLoopPolicy']):
                return policy.get_event_loop_for_context(context) or find(context)
        return loop if isinstance(loop, EventLoop) and loop._context == context else find(context)

    _replace_in_pygobject('get_event_loop', get_event_loop)


if hasattr(_ossighelper, 'get_event_loop'):
    _join_main_loops()
else:
    _follow_main_loops()
