#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tests asyncio with the selectors of Sel, and on the GLib main loop. Prints TAP."""

import asyncio
import contextlib
import contextvars
import ctypes
import gc
import inspect
import math
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import unittest
import unittest.mock
import warnings
import weakref

import loops
import tap

Sel = tap.import_sel()

import gi  # noqa: E402
from gi.repository import Gio, GLib  # noqa: E402


async def echo(reader, writer):
    while data := await reader.read(1000):
        writer.write(data)
        await writer.drain()
    writer.close()


async def exchange(n):
    """Runs a server and clients. Returns the data that the clients have received."""
    server = await asyncio.start_server(echo, '127.0.0.1', 0)
    port = server.sockets[0].getsockname()[1]

    async def client(number):
        reader, writer = await asyncio.open_connection('127.0.0.1', port)
        writer.write(b'%d ' % number * 1000)
        writer.write_eof()
        data = await reader.read()
        writer.close()
        await writer.wait_closed()
        return data == b'%d ' % number * 1000

    results = await asyncio.gather(*map(client, range(n)))
    server.close()
    await server.wait_closed()
    return results


def pygobject_asks_policy():
    """PyGObject 3.50 asks the policy for the loop of a context. Versions before it and 3.58 do not."""
    from gi import _ossighelper

    get_event_loop = getattr(_ossighelper, 'get_event_loop', None)
    return get_event_loop is not None and 'get_event_loop_for_context' in inspect.getsource(get_event_loop)


class StandardLoop(unittest.TestCase):
    """The unchanged asyncio.SelectorEventLoop with the selectors of Sel."""

    def test_echo(self):
        for cls in Sel.SelectSelector, Sel.PollSelector, Sel.EpollSelector, Sel.DevpollSelector, Sel.KqueueSelector:
            if cls.is_supported():
                with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(cls())) as runner:
                    self.assertEqual(runner.run(exchange(20)), [True] * 20)

    def test_subprocess_and_signal(self):
        async def main():
            process = await asyncio.create_subprocess_exec('cat', stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            self.assertEqual(await process.communicate(b'text'), (b'text', None))
            called = asyncio.Event()
            asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, called.set)
            os.kill(os.getpid(), signal.SIGUSR1)
            await called.wait()

        with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(Sel.DefaultSelector())) as runner:
            runner.run(main())


class Coroutines(loops.TestCase):
    """asyncio runs the main loop, and GLib's callbacks run as well."""

    def test_result(self):
        async def main():
            return await asyncio.sleep(0, 'result')
        self.assertEqual(Sel.asyncio.run(main()), 'result')

    def test_echo(self):
        for cls in Sel.SelectSelector, Sel.PollSelector, Sel.EpollSelector:
            with asyncio.Runner(loop_factory=lambda: Sel.asyncio.EventLoop(selector=cls())) as runner:
                self.assertEqual(runner.run(exchange(20)), [True] * 20)

    def test_glib_callbacks(self):
        calls = []

        async def main():
            called = asyncio.Event()
            GLib.timeout_add(1, lambda: calls.append('timeout') or called.set())
            await called.wait()
            called.clear()
            self.when_idle(called.set)
            await called.wait()
            # In every callback the loop is the running loop.
            self.when_idle(lambda: calls.append(asyncio.get_running_loop()))
            self.when_idle(lambda: asyncio.create_task(note()))
            await done.wait()

        async def note():
            calls.append('task')
            done.set()

        done = asyncio.Event()
        loop = self.make_loop()
        loop.run_until_complete(main())
        self.assertEqual(calls, ['timeout', loop, 'task'])

    def test_call_from_glib_wakes(self):
        loop = self.make_loop()

        async def main():
            for schedule in (lambda callback: loop.call_soon(callback), lambda callback: loop.call_later(0, callback),
                             lambda callback: loop.call_at(loop.time() + 0.001, callback),
                             lambda callback: loop.call_soon_threadsafe(callback)):
                called = asyncio.Event()
                self.when_idle(schedule, called.set)
                await called.wait()

        loop.run_until_complete(main())

    def test_timers_are_never_early(self):
        async def main():
            loop = asyncio.get_running_loop()
            for delay in 0, 0.0001, 0.001, 0.0042, 0.01:
                begin = loop.time()
                await asyncio.sleep(delay)
                self.assertGreaterEqual(loop.time() - begin, delay - 1e-6)
        Sel.asyncio.run(main())

    def test_nothing_polls(self):
        # While GLib is busy and asyncio waits, asyncio takes no turns, except for a few by its self-pipe and the timer.
        loop = self.make_loop()
        n_turns = 0
        take_turn = loop._take_turn

        def count(*args):
            nonlocal n_turns
            n_turns += 1
            return take_turn(*args)

        loop._take_turn = count
        n_timeouts = 0

        def timeout():
            nonlocal n_timeouts
            n_timeouts += 1
            if n_timeouts == 50:
                finished.set_result(None)
            return n_timeouts < 50

        async def main():
            loop.call_later(3600, print)
            GLib.timeout_add(1, timeout)
            await finished

        finished = loop.create_future()
        loop.run_until_complete(main())
        self.assertEqual(n_timeouts, 50)
        self.assertLess(n_turns, 10)

    def test_exceptions(self):
        async def fail(exception):
            raise exception
        for exception in ValueError('x'), SystemExit(3), KeyboardInterrupt():
            with self.assertRaises(type(exception)) as caught:
                self.make_loop().run_until_complete(fail(exception))
            self.assertIs(caught.exception, exception)

    def test_stop(self):
        loop = self.make_loop()
        self.when_idle(loop.stop)
        loop.run_forever()
        loop.stop()
        loop.run_forever()
        self.assertFalse(loop.is_running())

    def test_refusals(self):
        loop = self.make_loop()

        async def main():
            self.assertTrue(loop.is_running())
            other = self.make_loop()
            self.assertRaises(RuntimeError, loop.run_forever)
            self.assertRaises(RuntimeError, other.run_forever)
            with self.assertRaises(RuntimeError), other.running():
                pass

        loop.run_until_complete(main())
        loop.close()
        self.assertRaises(RuntimeError, loop.run_forever)

    def test_policy(self):
        self.addCleanup(asyncio.set_event_loop_policy, None)
        asyncio.set_event_loop_policy(Sel.asyncio.EventLoopPolicy())

        async def main():
            self.assertIsInstance(asyncio.get_running_loop(), Sel.asyncio.EventLoop)
            process = await asyncio.create_subprocess_shell('exit 7')
            return await process.wait()
        self.assertEqual(asyncio.run(main()), 7)

    @unittest.skipUnless(pygobject_asks_policy(), 'this version of PyGObject does not ask the policy')
    def test_policy_runs_coroutines(self):
        self.addCleanup(asyncio.set_event_loop_policy, None)
        asyncio.set_event_loop_policy(Sel.asyncio.EventLoopPolicy())
        loop = self.make_loop()
        asyncio.set_event_loop(loop)
        main_loop = GLib.MainLoop()

        async def main():
            await asyncio.sleep(0.001)
            main_loop.quit()

        task = loop.create_task(main())
        main_loop.run()
        self.assertTrue(task.done())

    def test_pygobject_finds_the_loop(self):
        """For a context on which the loop has not run yet. get_event_loop () of PyGObject 3.50 is put in its place."""
        result = subprocess.run([sys.executable, '-c', """if True:
            import asyncio, warnings
            from gi import _ossighelper
            _ossighelper.get_event_loop = lambda context: None
            from gi.repository import GLib
            import gi
            gi.require_version('Sel', '1.0')
            from gi.repository import Sel
            warnings.simplefilter('ignore')
            asyncio.set_event_loop_policy(Sel.asyncio.EventLoopPolicy())
            loop = Sel.asyncio.EventLoop()
            asyncio.set_event_loop(loop)
            assert _ossighelper.get_event_loop(GLib.MainContext.default()) is loop
            assert _ossighelper.get_event_loop(GLib.MainContext()) is None
            loop.close()
            """], stderr=subprocess.PIPE, text=True)
        self.assertEqual((result.returncode, result.stderr), (0, ''))

    def test_loop_is_collected(self):
        async def main():
            await asyncio.sleep(0)

        n_fds = len(os.listdir('/proc/self/fd'))
        ended = []
        for unused in range(20):
            loop = Sel.asyncio.EventLoop()
            loop.run_until_complete(main())
            loop.close()
            ended.append(weakref.ref(loop))
        del loop
        gc.collect()
        self.assertEqual([ref() for ref in ended], [None] * 20)
        self.assertEqual(len(os.listdir('/proc/self/fd')), n_fds)


class Timers(loops.TestCase):

    def test_extreme_times(self):
        # Everything that the standard library accepts works, and does not stop other timers.
        for name, when, is_called in (
                ('call_later', math.inf, False), ('call_later', 1e300, False), ('call_later', 1e15, False),
                ('call_later', -math.inf, True), ('call_later', -1e300, True), ('call_later', math.nan, True),
                ('call_at', math.inf, False), ('call_at', -math.inf, True), ('call_at', math.nan, True),
                ('call_at', -1e300, True)):
            with self.subTest(name=name, when=when):
                loop = self.make_loop()
                calls = []
                getattr(loop, name)(when, calls.append, 'called')
                # The loop takes a turn while this timer is the only one.
                self.when_idle(loop.call_later, 0.001, loop.stop)
                loop.run_forever()
                self.assertEqual(calls, ['called'] * is_called)

    def test_order(self):
        # Many timers in any order, of which some are cancelled, and times that are integers.
        loop = self.make_loop()
        calls = []
        now = loop.time()
        times = [now - random.random() for unused in range(500)] + [int(now) - number for number in range(20)]
        timers = [loop.call_at(when, calls.append, when) for when in times]
        for timer in timers[::7]:
            timer.cancel()
        loop.call_at(now, loop.stop)
        loop.run_forever()
        self.assertEqual(calls, sorted(set(times) - set(times[::7])))
        self.assertEqual(loop._scheduled, [])

    def test_infinite_sleep(self):
        async def main():
            with self.assertRaises(asyncio.TimeoutError):
                await asyncio.wait_for(asyncio.sleep(math.inf), 0.001)
            future = asyncio.get_running_loop().create_future()
            GLib.timeout_add(1, lambda: asyncio.get_running_loop().call_soon_threadsafe(future.set_result, 7) and False)
            return await asyncio.wait_for(future, math.inf)
        self.assertEqual(Sel.asyncio.run(main()), 7)


class Failures(loops.TestCase):
    """Whatever goes wrong in a turn reaches the caller of the function that runs the loop."""

    class OnPurpose(Exception):
        pass

    def fail(self, *unused):
        raise self.OnPurpose

    def test_turn(self):
        for name in '_run_once', '_process_events':
            loop = self.make_loop()
            setattr(loop, name, self.fail)
            loop.call_soon(print)
            self.assertRaises(self.OnPurpose, loop.run_forever)
            self.assertFalse(loop.is_running())

    def test_time(self):
        # The time of the next turn is computed after the callbacks have run.
        loop = self.make_loop()

        class Handle(asyncio.TimerHandle):
            def when(handle):
                self.fail()
            _when = property(when, lambda handle, when: None)
            __lt__ = __gt__ = lambda handle, other: True

        loop.call_soon(lambda: loop._scheduled.append(Handle(0, print, (), loop)))
        self.assertRaises(self.OnPurpose, loop.run_forever)
        loop._scheduled.clear()

    def test_quit_function(self):
        main_loop = GLib.MainLoop()
        loop = self.make_loop()
        with self.assertRaises(self.OnPurpose), loop.running(main_loop.quit), loop.running(self.fail):
            loop.call_soon(loop.stop)
            main_loop.run()
        self.assertFalse(loop.is_running())

    def test_selector(self):
        class Failing(Sel.PollSelector):
            do_fail = False

            def select(selector, *args):
                if selector.do_fail:
                    self.fail()
                return super().select(*args)

        selector = Failing()
        loop = self.make_loop(selector=selector)
        loop.call_soon(setattr, selector, 'do_fail', True)
        loop.call_soon_threadsafe(lambda: loop.call_soon(print))
        self.assertRaises(self.OnPurpose, loop.run_forever)

    def test_reader(self):
        # A reader that fails is called again, in its context.
        variable = contextvars.ContextVar('variable', default='wrong')
        variable.set('right')
        loop = self.make_loop()
        contexts, calls = [], []
        loop.set_exception_handler(lambda loop, context: contexts.append(context['exception']))

        def reader():
            calls.append(variable.get())
            if len(calls) == 3:
                loop.stop()
            self.fail()

        r, w = socket.socketpair()
        with r, w:
            w.send(b'x')
            loop.add_reader(r, reader)
            variable.set('changed')
            loop.run_forever()
            loop.remove_reader(r)
        self.assertEqual(calls, ['right'] * 3)
        self.assertEqual([type(exception) for exception in contexts], [self.OnPurpose] * 3)

    def test_callback(self):
        # asyncio handles an exception of a callback, and names the callback.
        loop = self.make_loop()
        contexts = []
        loop.set_exception_handler(lambda loop, context: contexts.append(context))
        loop.call_soon(self.fail, 'argument')
        loop.call_later(0, loop.stop)
        loop.run_forever()
        self.assertEqual(len(contexts), 1)
        self.assertIsInstance(contexts[0]['exception'], self.OnPurpose)
        self.assertIn('fail', contexts[0]['message'])
        self.assertIsInstance(contexts[0]['handle'], asyncio.Handle)

    def test_cancelled_callback(self):
        # A callback that cancels itself, and then fails: the exception is reported as that of any callback.
        loop = self.make_loop()
        exceptions = []
        loop.set_exception_handler(lambda loop, context: exceptions.append(type(context['exception'])))

        def fail():
            handle.cancel()
            self.fail()

        def reader():
            loop.remove_reader(r)
            loop.stop()
            self.fail()

        r, w = socket.socketpair()
        with r, w:
            w.send(b'x')
            handle = loop.call_soon(fail)
            loop.add_reader(r, reader)
            loop.run_forever()
        self.assertEqual(exceptions, [self.OnPurpose] * 2)
        self.assertIsNone(handle._args)


class Ends(loops.TestCase):
    """The end of loops, selectors and programs."""

    def run_program(self, text, *options):
        text = ('import asyncio, gi, os, sys\ngi.require_version("Sel", "1.0")\n'
                'from gi.repository import GLib, Sel\n' + text)
        return subprocess.run([sys.executable, *options, '-c', text], capture_output=True, text=True, check=True)

    def test_transport(self):
        # The finalizer of a transport looks at the selector, when close() has dropped its key.
        for loop in 'Sel.asyncio.EventLoop', 'lambda: asyncio.SelectorEventLoop(Sel.DefaultSelector())':
            for connect, mode in ('connect_read_pipe', 'rb'), ('connect_write_pipe', 'wb'):
                result = self.run_program('''
async def main():
    r, w = os.pipe()
    await asyncio.get_running_loop().%s(asyncio.Protocol, os.fdopen(%s, "%s"))
with asyncio.Runner(loop_factory=%s) as runner:
    runner.run(main())
''' % (connect, mode[0], mode, loop), '-X', 'dev')
                self.assertNotIn('Traceback', result.stderr)
                self.assertIn('ResourceWarning: unclosed transport', result.stderr)

    def test_loop_that_is_not_closed(self):
        # The transport looks at the selector when the interpreter ends.
        result = self.run_program('''
async def main():
    r, w = os.pipe()
    await asyncio.get_running_loop().connect_read_pipe(asyncio.Protocol, os.fdopen(r, "rb"))
loop = Sel.asyncio.EventLoop()
loop.run_until_complete(main())
other = asyncio.SelectorEventLoop(Sel.DefaultSelector())
other.run_until_complete(main())
''')
        self.assertEqual(result.stderr, '')

    def test_selector_of_a_finalizer(self):
        result = self.run_program('''
class Owner:
    def __init__(self):
        self.r, self.w = os.pipe()
        self.selector = Sel.DefaultSelector()
        self.key = self.selector.register(self.r, Sel.EVENT_READ, self)
    def __del__(self):
        assert self.selector.get_key(self.r) is self.key and not self.selector.is_closed()
        self.selector.unregister(self.r)
        assert self.selector.get_map().get(self.r) is None
        self.selector.close()
owner = Owner()
''')
        self.assertEqual(result.stderr, '')

    def test_without_policies(self):
        # Later versions of Python warn about policies, and then have none.
        result = self.run_program('''
for name in "DefaultEventLoopPolicy", "set_event_loop_policy", "get_event_loop_policy", "__getattr__":
    vars(asyncio).pop(name, None)
async def main():
    await asyncio.sleep(0)
    return type(asyncio.get_running_loop())
assert Sel.asyncio.run(main()) is Sel.asyncio.EventLoop
with asyncio.Runner(loop_factory=Sel.asyncio.EventLoop) as runner:
    assert runner.run(main()) is Sel.asyncio.EventLoop
if sys.version_info >= (3, 12):
    assert asyncio.run(main(), loop_factory=Sel.asyncio.EventLoop) is Sel.asyncio.EventLoop
try:
    Sel.asyncio.EventLoopPolicy
    assert False
except AttributeError as error:
    assert "EventLoopPolicy" in str(error), error
''')
        self.assertEqual(result.stderr, '')


class Signals(loops.TestCase):

    def test_handler(self):
        async def main():
            loop = asyncio.get_running_loop()
            for number in range(20):
                called = asyncio.Event()
                loop.add_signal_handler(signal.SIGUSR1, called.set)
                self.when_idle(os.kill, os.getpid(), signal.SIGUSR1)
                await called.wait()
            self.assertTrue(loop.remove_signal_handler(signal.SIGUSR1))
            self.assertIs(signal.getsignal(signal.SIGUSR1), signal.SIG_DFL)
        Sel.asyncio.run(main())

    def test_handler_in_main_loop(self):
        # A main loop of PyGObject replaces the wakeup descriptor for signals.
        loop = self.make_loop()
        main_loop = GLib.MainLoop()
        loop.add_signal_handler(signal.SIGUSR1, main_loop.quit)
        with loop.running():
            self.when_idle(os.kill, os.getpid(), signal.SIGUSR1)
            main_loop.run()

    def test_python_handler(self):
        # A signal without a handler of asyncio.
        loop = self.make_loop()
        self.addCleanup(signal.signal, signal.SIGUSR1,
                        signal.signal(signal.SIGUSR1, lambda *unused: loop.call_soon_threadsafe(loop.stop)))
        self.when_idle(os.kill, os.getpid(), signal.SIGUSR1)
        loop.run_forever()

    def test_keyboard_interrupt(self):
        async def wait_for_ever():
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.append(True)
                raise

        cancelled = []
        self.when_idle(os.kill, os.getpid(), signal.SIGINT)
        self.assertRaises(KeyboardInterrupt, Sel.asyncio.run, wait_for_ever())
        self.assertEqual(cancelled, [True])

        self.when_idle(os.kill, os.getpid(), signal.SIGINT)
        self.assertRaises(KeyboardInterrupt, self.make_loop().run_forever)
        self.assertIs(signal.getsignal(signal.SIGINT), signal.default_int_handler)

        loop = self.make_loop()
        loop.call_soon(os.kill, os.getpid(), signal.SIGINT)
        self.assertRaises(KeyboardInterrupt, loop.run_forever)

    def test_python_handler_after_removal(self):
        # After the last handler of asyncio is removed, other handlers still have to wake up the loop.
        main_loop = GLib.MainLoop()
        loop = self.make_loop()
        self.addCleanup(signal.signal, signal.SIGUSR2, signal.signal(signal.SIGUSR2, lambda *unused: main_loop.quit()))

        def remove():
            loop.add_signal_handler(signal.SIGUSR1, print)
            loop.remove_signal_handler(signal.SIGUSR1)
            # Another process sends the signal when this one sleeps in C code.
            processes.append(subprocess.Popen(['/bin/sh', '-c', """
                until grep -q 'State:.S' /proc/$0/status; do :; done; kill -USR2 $0""", str(os.getpid())]))

        processes = []
        loop.call_soon(remove)
        with loop.running():
            main_loop.run()
        processes[0].wait()

    def test_wakeup_descriptor_is_given_back(self):
        left, right = socket.socketpair()
        with left, right:
            left.setblocking(False)
            old = signal.set_wakeup_fd(left.fileno())
            try:
                Sel.asyncio.run(asyncio.sleep(0))
            finally:
                self.assertEqual(signal.set_wakeup_fd(old), left.fileno())

    def test_wakeup_descriptor_of_the_program(self):
        """A program such as Twisted has set its own descriptor before, and reads it in the loop."""
        left, right = socket.socketpair()
        with left, right:
            left.setblocking(False)
            loop = self.make_loop()
            received = []

            def read():
                received.append(right.recv(100))
                loop.stop()
            loop.add_reader(right, read)
            self.addCleanup(signal.signal, signal.SIGUSR1, signal.signal(signal.SIGUSR1, lambda *unused: None))
            old = signal.set_wakeup_fd(left.fileno())
            try:
                self.when_idle(os.kill, os.getpid(), signal.SIGUSR1)
                loop.run_forever()
            finally:
                self.assertEqual(signal.set_wakeup_fd(old), left.fileno())
                loop.remove_reader(right)
            self.assertEqual(received, [bytes([signal.SIGUSR1])])

    def test_wakeup_descriptor_is_gone(self):
        r, w = os.pipe2(os.O_NONBLOCK)
        self.addCleanup(signal.signal, signal.SIGUSR1, signal.signal(signal.SIGUSR1, lambda *unused: None))
        old = signal.set_wakeup_fd(w)

        async def main():
            own_fd = signal.set_wakeup_fd(-1)
            os.kill(os.getpid(), signal.SIGUSR1)
            await asyncio.sleep(0)
            signal.set_wakeup_fd(own_fd)
            os.kill(os.getpid(), signal.SIGUSR1)
            signal.set_wakeup_fd(-1)
            for unused in range(3):
                await asyncio.sleep(0)
            self.assertRaises(BlockingIOError, os.read, r, 1)
        Sel.asyncio.run(main())
        signal.set_wakeup_fd(old)
        os.close(r)
        os.close(w)


class HangUps(loops.TestCase):
    """Callbacks that neither read nor remove themselves, and one that works beside them."""

    def test_ignored(self):
        calls = [0] * 5
        words = []

        def ignore(i):
            calls[i] += 1

        async def main():
            loop = asyncio.get_running_loop()
            for i, pair in enumerate(pairs):
                pair[1].close()
                loop.add_reader(pair[0], ignore, i)
            loop.add_reader(left, lambda: words.append(left.recv(1)))
            start = loop.time()
            while loop.time() - start < 0.4 or min(calls) < 8:
                await asyncio.sleep(0.02)
                right.send(b'x')
            tenths = int(10 * (loop.time() - start)) + 1
            for fd in [left] + [pair[0] for pair in pairs]:
                loop.remove_reader(fd)
            # They are called after each pause, and no pause ends early.
            self.assertLessEqual(max(calls), 20 + tenths)
            self.assertTrue(words)

        pairs = [socket.socketpair() for _ in range(5)]
        left, right = socket.socketpair()
        with contextlib.ExitStack() as stack:
            for fd in [left, right] + [pair[0] for pair in pairs]:
                stack.enter_context(fd)
                fd.setblocking(False)
            for kind in (Sel.EpollSelector, Sel.PollSelector, Sel.SelectSelector):
                with self.subTest(kind), asyncio.Runner(
                        loop_factory=lambda: Sel.asyncio.EventLoop(selector=kind())) as runner:
                    calls[:] = [0] * 5
                    runner.run(main())


class MainLoops(loops.TestCase):
    """The program runs a main loop, and coroutines run as well."""

    def test_main_loop(self):
        main_loop = GLib.MainLoop()
        calls = []

        async def main():
            self.assertEqual(await exchange(10), [True] * 10)
            calls.append(asyncio.get_running_loop())
            main_loop.quit()

        with asyncio.Runner(loop_factory=Sel.asyncio.EventLoop) as runner:
            loop = runner.get_loop()
            # Tasks that are scheduled before the loop runs, in a coroutine, and in a callback of GLib.
            task = loop.create_task(main())
            with loop.running():
                self.assertTrue(loop.is_running())
                self.assertRaises(RuntimeError, loop.run_until_complete, task)
                main_loop.run()
            self.assertFalse(loop.is_running())
            self.assertTrue(task.done())
            self.assertEqual(calls, [loop])
            # Nothing runs between two main loops. The second one continues.
            task = loop.create_task(main())
            with loop.running():
                self.when_idle(asyncio.create_task, asyncio.sleep(0))
                main_loop.run()
            self.assertTrue(task.done())

    def test_begins_in_a_callback(self):
        # As a plugin of an application does it.
        main_loop = GLib.MainLoop()
        loop = self.make_loop()
        stack = contextlib.ExitStack()

        async def work():
            await asyncio.sleep(0.001)
            self.when_idle(end)

        def begin():
            stack.enter_context(loop.running())
            asyncio.create_task(work())

        def end():
            stack.close()
            self.assertFalse(loop.is_running())
            main_loop.quit()

        self.when_idle(begin)
        main_loop.run()

    def test_application(self):
        app = Gio.Application(application_id='org.example.Sel', flags=Gio.ApplicationFlags.NON_UNIQUE)
        calls = []

        async def work():
            await asyncio.sleep(0.001)
            calls.append('work')
            app.release()

        def activate(app):
            app.hold()
            tasks.append(asyncio.create_task(work()))

        tasks = []
        app.connect('activate', activate)
        with self.make_loop().running():
            app.run(None)
        self.assertEqual(calls, ['work'])

    def test_stop_quits(self):
        main_loop = GLib.MainLoop()
        loop = self.make_loop()
        with loop.running(main_loop.quit):
            loop.call_soon(loop.stop)
            main_loop.run()
        with loop.running(main_loop.quit):
            self.when_idle(loop.stop)
            main_loop.run()

    def test_exception(self):
        async def fail():
            sys.exit(3)

        main_loop = GLib.MainLoop()
        loop = self.make_loop()
        with self.assertRaises(SystemExit), loop.running(main_loop.quit):
            task = loop.create_task(fail())
            main_loop.run()
        self.assertIsInstance(task.exception(), SystemExit)
        self.assertFalse(loop.is_running())

    def test_nested(self):
        # A callback of GLib runs a nested loop, as a dialog does. Coroutines continue meanwhile.
        inner = GLib.MainLoop()
        calls = []

        async def main():
            begun = asyncio.Event()

            def nest():
                begun.set()
                inner.run()
                calls.append('nested loop ended')
                ended.set()

            ended = asyncio.Event()
            self.when_idle(nest)
            await begun.wait()
            await asyncio.sleep(0.001)
            calls.append('coroutine')
            inner.quit()
            await ended.wait()

        Sel.asyncio.run(main())
        self.assertEqual(calls, ['coroutine', 'nested loop ended'])

    def test_stop_ends_nested_loops(self):
        # Also with versions of PyGObject that do not tell the running loop of main loops.
        for stop in lambda loop: loop.stop(), lambda loop: os.kill(os.getpid(), signal.SIGINT):
            loop = self.make_loop()
            calls = []

            def nest(depth, loop=loop, stop=stop, calls=calls):
                if depth == 0:
                    loop.call_soon(stop, loop)
                else:
                    self.when_idle(nest, depth - 1)
                GLib.MainLoop().run()
                calls.append(depth)

            self.when_idle(nest, 2)
            try:
                loop.run_forever()
            except KeyboardInterrupt:
                calls.append('interrupted')
            self.assertIn(calls, ([0, 1, 2], [0, 1, 2, 'interrupted']))

    def test_interrupt_ends_nested_loops(self):
        # asyncio's Runner cancels the main task.
        inner = GLib.MainLoop()
        calls = []

        async def main():
            self.when_idle(lambda: inner.run() or calls.append('inner loop ended'))
            await asyncio.sleep(0.001)
            self.assertTrue(inner.is_running())
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.sleep(math.inf)

        self.assertRaises(KeyboardInterrupt, Sel.asyncio.run, main())
        self.assertEqual(calls, ['inner loop ended'])

    def test_nested_loop_of_another_context(self):
        # It does not belong to the loop, so stop() does not end it.
        loop = self.make_loop()
        context = GLib.MainContext()
        inner = GLib.MainLoop(context)
        calls = []

        def nest():
            loop.stop()
            source = GLib.idle_source_new()
            source.set_callback(lambda *unused: calls.append('inner') or inner.quit())
            source.attach(context)
            inner.run()
            calls.append('end')

        self.when_idle(nest)
        loop.run_forever()
        self.assertEqual(calls, ['inner', 'end'])

    def test_paused(self):
        # A program that iterates the context in a callback is not called by coroutines meanwhile.
        loop = self.make_loop()
        calls = []
        context = GLib.MainContext.default()

        def iterate():
            loop.call_soon(calls.append, 'coroutine')
            loop.call_soon_threadsafe(calls.append, 'thread')
            self.when_idle(calls.append, 'glib')
            with loop.paused(), loop.paused():
                while 'glib' not in calls:
                    context.iteration(True)
                context.iteration(False)
                loop.stop()
                context.iteration(False)
            calls.append('resumed')

        self.when_idle(iterate)
        loop.run_forever()
        self.assertEqual(calls, ['glib', 'resumed', 'coroutine', 'thread'])
        with loop.paused():
            self.assertFalse(loop.is_running())

    def test_paused_in_a_turn(self):
        async def main():
            self.when_idle(calls.append, 'glib')
            with asyncio.get_running_loop().paused():
                while not calls:
                    GLib.MainContext.default().iteration(True)
            await asyncio.sleep(0)

        calls = []
        Sel.asyncio.run(main())
        self.assertEqual(calls, ['glib'])

    @unittest.skipIf(gi.version_info < (3, 50), 'PyGObject before 3.50 does not ask the running loop')
    def test_iteration_dispatches_no_coroutine(self):
        loop = self.make_loop()
        calls = []

        def iterate():
            loop.call_soon(calls.append, 'coroutine')
            self.when_idle(calls.append, 'glib')
            while 'glib' not in calls:
                GLib.MainContext.default().iteration(True)
            loop.stop()

        self.when_idle(iterate)
        loop.run_forever()
        self.assertEqual(calls, ['glib', 'coroutine'])

    def test_no_turn_in_a_turn(self):
        # When a coroutine iterates the context, no other turn of asyncio runs inside the current one.
        calls = []

        async def main():
            asyncio.get_running_loop().call_soon(calls.append, 'asyncio')
            self.when_idle(calls.append, 'glib')
            while 'glib' not in calls:
                GLib.MainContext.default().iteration(True)
            calls.append('coroutine')
            await asyncio.sleep(0)

        Sel.asyncio.run(main())
        self.assertEqual(calls, ['glib', 'coroutine', 'asyncio'])

    def test_main_loop_in_a_turn_does_not_spin(self):
        # A descriptor of asyncio is ready while a coroutine runs a main loop.
        loop = self.make_loop()
        r, w = socket.socketpair()
        calls = []

        async def main():
            w.send(b'x')
            loop.add_reader(r, lambda: calls.append(r.recv(1)))
            inner = GLib.MainLoop()
            GLib.timeout_add(20, inner.quit)
            # An idle source of a low priority runs if nothing else is ready.
            self.when_idle(calls.append, 'idle')
            n_before = n_iterations
            inner.run()
            calls.append('end')
            # Not more than a few for each source. A loop that spins has thousands.
            self.assertLess(n_iterations - n_before, 50)
            while b'x' not in calls:
                await asyncio.sleep(0)
            loop.remove_reader(r)

        n_iterations = 0

        class Counter(GLib.Source):
            def prepare(self):
                nonlocal n_iterations
                n_iterations += 1
                return False, -1

            def check(self):
                return False

            def dispatch(self, callback, args):
                return True

        counter = Counter()
        counter.attach()
        self.addCleanup(counter.destroy)
        with r, w:
            loop.run_until_complete(main())
        self.assertEqual(calls, ['idle', 'end', b'x'])

    def test_priority(self):
        # An asyncio loop of low priority yields to sources of higher priority.
        calls = []

        async def main():
            for unused in range(10):
                calls.append('coroutine')
                await asyncio.sleep(0)

        def idle():
            calls.append('glib')
            return calls.count('glib') < 10

        loop = self.make_loop(priority=GLib.PRIORITY_LOW)
        GLib.idle_add(idle, priority=GLib.PRIORITY_DEFAULT)
        loop.run_until_complete(main())
        self.assertEqual(calls, ['glib'] * 10 + ['coroutine'] * 10)


class BusyLoop(loops.TestCase):
    """A loop that always has something to do. The accelerator polls less often then."""

    N_TURNS = 2000
    MAX_TURNS_WITHOUT_POLL = 15

    @unittest.skipUnless(Sel.asyncio._accelerator, 'the accelerator is not used')
    def test_tasks_schedule_their_callbacks_in_c(self):
        async def main():
            await asyncio.gather(*(asyncio.sleep(0.001) for unused in range(3)))

        loop = self.make_loop()
        coroutine = main()
        self.addCleanup(coroutine.close)
        with unittest.mock.patch.object(asyncio.BaseEventLoop, '_call_soon', side_effect=AssertionError):
            loop.run_until_complete(coroutine)

    def run_turns(self, loop):
        """Runs turns that are each caused by a descriptor."""
        r, w = socket.socketpair()
        done = loop.create_future()
        left = self.N_TURNS

        def read():
            nonlocal left
            left -= 1
            if left == 0:
                done.set_result(None)

        # Nobody reads what is there.
        w.send(b'x')
        with r, w:
            loop.add_reader(r, read)
            loop.run_until_complete(done)
            loop.remove_reader(r)

    def run_callbacks(self, loop):
        """Runs turns that are each caused by a callback."""
        async def main():
            for unused in range(self.N_TURNS):
                await asyncio.sleep(0)
        loop.run_until_complete(main())

    def test_other_descriptors_have_their_turns(self):
        for run in self.run_turns, self.run_callbacks:
            with self.subTest(run.__name__):
                self.check_other_descriptors(run)

    def check_other_descriptors(self, run):
        context = GLib.MainContext()
        loop = self.make_loop(context=context)
        r, w = os.pipe()
        self.addCleanup(os.close, r)
        self.addCleanup(os.close, w)
        os.write(w, b'x')
        source = GLib.unix_fd_source_new(r, GLib.IOCondition.IN)
        n_calls = 0

        def call(*unused):
            nonlocal n_calls
            n_calls += 1
            return GLib.SOURCE_CONTINUE

        source.set_callback(call)
        source.attach(context)
        self.addCleanup(source.destroy)
        run(loop)
        self.assertGreaterEqual(n_calls, self.N_TURNS // (self.MAX_TURNS_WITHOUT_POLL + 1) - 1)

    def test_sources_without_descriptors_have_their_turns(self):
        loop = self.make_loop()
        n_calls = 0

        def call():
            nonlocal n_calls
            n_calls += 1
            return GLib.SOURCE_CONTINUE

        source = GLib.idle_add(call, priority=GLib.PRIORITY_DEFAULT)
        self.addCleanup(GLib.source_remove, source)
        self.run_turns(loop)
        self.assertGreaterEqual(n_calls, self.N_TURNS - 2)

    def test_function_in_place_of_poll_is_called(self):
        glib = ctypes.CDLL('libglib-2.0.so.0')
        function_type = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int)
        n_calls = 0

        def poll(*args):
            nonlocal n_calls
            n_calls += 1
            return glib.g_poll(*args)

        glib.g_poll.argtypes = ctypes.c_void_p, ctypes.c_uint, ctypes.c_int
        glib.g_main_context_default.restype = ctypes.c_void_p
        glib.g_main_context_set_poll_func.argtypes = ctypes.c_void_p, ctypes.c_void_p
        function = function_type(poll)
        glib.g_main_context_set_poll_func(glib.g_main_context_default(), ctypes.cast(function, ctypes.c_void_p))
        self.addCleanup(glib.g_main_context_set_poll_func, glib.g_main_context_default(), None)
        self.run_turns(self.make_loop(context=GLib.MainContext.default()))
        self.assertGreaterEqual(n_calls, self.N_TURNS)

    def get_turns(self, loop):
        r, w = socket.socketpair()
        turns = []

        async def main():
            for i in range(20):
                turns.append(i)
                if i == 10:
                    w.send(b'x')
                await asyncio.sleep(0)

        with r, w:
            loop.add_reader(r, lambda: turns.append(r.recv(1)))
            loop.run_until_complete(main())
            loop.remove_reader(r)
        return turns

    def test_descriptor_is_ready_in_the_next_turn(self):
        with contextlib.closing(asyncio.SelectorEventLoop()) as loop:
            turns = self.get_turns(loop)
        self.assertEqual(self.get_turns(self.make_loop()), turns)

    def test_wrong_guesses(self):
        # The descriptor is ready in every second turn only.
        loop = self.make_loop()
        r, w = socket.socketpair()
        with r, w:
            r.setblocking(False)

            async def main():
                for i in range(500):
                    loop.call_later(0.00001, w.send, b'x')
                    self.assertEqual(await loop.sock_recv(r, 10), b'x')

            loop.run_until_complete(main())


class Asynchronous(loops.TestCase):
    """GLib's asynchronous operations are awaitable."""

    def setUp(self):
        self.r, self.w = os.pipe()
        self.addCleanup(os.close, self.r)
        self.addCleanup(os.close, self.w)

    def test_select(self):
        async def main():
            with Sel.DefaultSelector() as selector:
                key = selector.register(self.r, Sel.EVENT_READ, 'data')
                self.when_idle(os.write, self.w, b'x')
                self.assertEqual(await selector.select_async(), [(key, Sel.EVENT_READ)])
                os.read(self.r, 1)
                self.assertEqual(await selector.select_async(0), [])
                self.assertEqual(await selector.select_async(0.001), [])
                selector.close()
                with self.assertRaises(ValueError):
                    await selector.select_async()
        Sel.asyncio.run(main())

    def test_cancel(self):
        async def main():
            with Sel.DefaultSelector() as selector:
                key = selector.register(self.r, Sel.EVENT_READ)
                with self.assertRaises(asyncio.TimeoutError):
                    await asyncio.wait_for(selector.select_async(), 0.001)
                task = asyncio.ensure_future(selector.select_async())
                await asyncio.sleep(0)
                task.cancel()
                with self.assertRaises(asyncio.CancelledError):
                    await task
                cancellable = Gio.Cancellable()
                task = asyncio.ensure_future(selector.select_async(None, GLib.PRIORITY_DEFAULT, cancellable))
                await asyncio.sleep(0)
                cancellable.cancel()
                with self.assertRaises(GLib.Error):
                    await task
                # The cancelled wait is over, and has lost no event.
                os.write(self.w, b'x')
                self.assertEqual(await selector.select_async(), [(key, Sel.EVENT_READ)])
        Sel.asyncio.run(main())

    @unittest.skipIf(gi.version_info < (3, 50), 'PyGObject before 3.50 has no functions to await')
    def test_gio(self):
        async def main():
            info = await Gio.File.new_for_path('/').query_info_async(
                'standard::type', Gio.FileQueryInfoFlags.NONE, GLib.PRIORITY_DEFAULT)
            self.assertEqual(info.get_file_type(), Gio.FileType.DIRECTORY)
        Sel.asyncio.run(main())

    @unittest.skipIf(gi.version_info < (3, 50), 'PyGObject before 3.50 has no loop of its own')
    def test_loop_of_pygobject(self):
        from gi.events import GLibEventLoop

        async def main():
            with Sel.DefaultSelector() as selector:
                key = selector.register(self.r, Sel.EVENT_READ)
                with self.assertRaises(asyncio.TimeoutError):
                    await asyncio.wait_for(selector.select_async(), 0.001)
                self.when_idle(os.write, self.w, b'x')
                self.assertEqual(await selector.select_async(), [(key, Sel.EVENT_READ)])

        loop = GLibEventLoop(GLib.MainContext.default())
        loop.run_until_complete(main())
        loop.close()


if __name__ == '__main__':
    warnings.simplefilter('error', ResourceWarning)
    tap.main('')
