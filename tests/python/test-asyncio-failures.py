#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tests what ends or replaces the turns of Sel.asyncio: forks, errors of the start, broken selectors, signals in a turn,
and functions in place of those of asyncio. Prints TAP."""

import asyncio
import contextlib
import errno
import os
import selectors
import signal
import subprocess
import threading
import unittest
import unittest.mock

import loops
import tap

Sel = tap.import_sel()

from gi.repository import GLib  # noqa: E402


class TestCase(loops.TestCase):

    def make_loop_of(self, selector):
        """Returns a loop of a selector that does not work any more when the test ends, so that close() fails."""
        def end():
            loop._ssock.close()
            loop._csock.close()
            loop._closed = True

        loop = Sel.asyncio.EventLoop(selector=selector)
        self.addCleanup(end)
        return loop


async def yield_often():
    for unused in range(20):
        await asyncio.sleep(0)


class Forks(TestCase):

    def fork(self, function):
        """Calls a function in a child process. Returns the exit status, which is 0 if the function returns True."""
        pid = os.fork()
        if pid == 0:
            status = 2
            try:
                status = 0 if function() else 1
            finally:
                os._exit(status)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def test_in_a_callback(self):
        # The child runs its own loop, and nothing of the parent.
        calls = []

        def run_child():
            Sel.asyncio.run(yield_often())
            return calls == []

        def fork():
            loop.call_soon(calls.append, 'soon')
            loop.call_later(0, calls.append, 'later')
            status.append(self.fork(run_child))

        async def main():
            self.when_idle(fork)
            while not status:
                await asyncio.sleep(0.001)
            await yield_often()

        status = []
        loop = self.make_loop()
        loop.run_until_complete(main())
        self.assertEqual(status, [0])
        self.assertEqual(sorted(calls), ['later', 'soon'])

    def test_in_a_thread(self):
        # GLib cannot know that the thread that owns the default context does not exist in the child.
        def run_child():
            Sel.asyncio.run(yield_often())
            context = GLib.MainContext()
            Sel.asyncio.run(yield_often(), context=context)
            return True

        self.assertEqual(Sel.asyncio.run(asyncio.to_thread(self.fork, run_child)), 0)

    def test_in_a_thread_beside_nothing(self):
        # Nobody owns the default context, so the child can use it.
        async def wait_for_glib():
            called = asyncio.Event()
            self.when_idle(called.set)
            await called.wait()
            return True

        results = []
        thread = threading.Thread(target=lambda: results.append(self.fork(lambda: Sel.asyncio.run(wait_for_glib()))))
        thread.start()
        thread.join()
        self.assertEqual(results, [0])

    def test_loop_of_the_parent(self):
        async def main():
            nonlocal pid
            pid = os.fork()
            await yield_often()

        pid = None
        error = None
        loop = self.make_loop()
        try:
            loop.run_until_complete(main())
        except RuntimeError as exception:
            error = exception
        finally:
            if pid == 0:
                os._exit(0 if error is not None and 'parent' in str(error) else 1)
        self.assertIsNone(error)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 0)


class Starts(TestCase):
    """An exception while a loop begins to run is raised at once."""

    def check_start(self, make_loop, exception):
        with self.assertRaises(exception):
            make_loop().run_forever()
        main_loop = GLib.MainLoop()
        loop = make_loop()
        with self.assertRaises(exception), loop.running(main_loop.quit):
            main_loop.run()
        self.assertFalse(loop.is_running())
        # Nothing of the loop is left.
        Sel.asyncio.run(asyncio.sleep(0))

    def make_loop_with_timer(self):
        loop = self.make_loop()
        loop.call_at(10 ** 400, print)
        return loop

    def test_time(self):
        self.check_start(self.make_loop_with_timer, OverflowError)

    def test_priority(self):
        self.check_start(lambda: self.make_loop(priority=None), TypeError)

    def test_closed_selector(self):
        def make_loop():
            selector = Sel.DefaultSelector()
            loop = self.make_loop_of(selector)
            selector.close()
            return loop
        self.check_start(make_loop, ValueError)

    def test_not_a_selector(self):
        with selectors.DefaultSelector() as selector:
            self.assertRaises(TypeError, Sel.asyncio.EventLoop, selector=selector)
            self.assertEqual(len(selector.get_map()), 0)

    def test_end_of_a_pause(self):
        loop = self.make_loop()

        def pause():
            with loop.paused():
                loop.call_at(10 ** 400, print)

        self.when_idle(pause)
        self.assertRaises(OverflowError, loop.run_forever)
        main_loop = GLib.MainLoop()
        loop = self.make_loop()
        self.when_idle(pause)
        with self.assertRaises(OverflowError), loop.running(main_loop.quit):
            main_loop.run()


class BrokenSelector(Sel.BaseSelector):
    """A selector in Python that stops working."""

    is_broken = False

    def do_update(self, fd, old_events, new_events):
        return True

    def do_wait(self, timeout):
        if self.is_broken:
            raise OSError(errno.EIO, 'on purpose')
        return True


class Selectors(TestCase):
    """The selector of a loop that runs is closed, or stops working."""

    def run_forever(self, loop):
        loop.run_forever()

    def run_main_loop(self, loop):
        main_loop = GLib.MainLoop()
        with loop.running(main_loop.quit):
            main_loop.run()

    def check(self, make_selector, exception, begin):
        for run in self.run_forever, self.run_main_loop:
            with self.subTest(run.__name__):
                selector = make_selector()
                loop = self.make_loop_of(selector)
                begin(loop, selector)
                with self.assertRaises(exception):
                    run(loop)
                self.assertFalse(loop.is_running())

    def check_close(self, begin):
        for cls in Sel.PollSelector, Sel.DefaultSelector:
            with self.subTest(cls):
                self.check(cls, ValueError, begin)

    def test_close_in_a_turn(self):
        self.check_close(lambda loop, selector: loop.call_soon(selector.close))

    def test_close_in_a_callback_of_glib(self):
        self.check_close(lambda loop, selector: self.when_idle(selector.close))

    def test_close_in_a_thread(self):
        def begin(loop, selector):
            thread = threading.Thread(target=selector.close)
            loop.call_soon(thread.start)
            self.addCleanup(thread.join)
        self.check_close(begin)

    def test_close_in_a_main_loop_of_a_turn(self):
        def begin(loop, selector):
            def nest():
                main_loop = GLib.MainLoop()
                self.when_idle(selector.close)
                self.when_idle(main_loop.quit)
                main_loop.run()
            loop.call_soon(nest)
        self.check_close(begin)

    def test_close_in_a_pause(self):
        def begin(loop, selector):
            def pause():
                with loop.paused():
                    selector.close()
            self.when_idle(pause)
        self.check_close(begin)

    def test_selector_that_breaks(self):
        # In run_forever(), where the loop asks the selector itself. A main loop polls the descriptors of this selector,
        # which has nothing to say then.
        async def main():
            selector.is_broken = True
            while True:
                loop.call_soon_threadsafe(int)
                await asyncio.sleep(0)

        selector = BrokenSelector()
        loop = self.make_loop_of(selector)
        self.assertRaises(OSError, loop.run_until_complete, main())

    def test_turn_of_a_subclass(self):
        class Loop(Sel.asyncio.EventLoop):
            def _take_turn(self, *args):
                raise ZeroDivisionError

        for run in self.run_forever, self.run_main_loop:
            loop = Loop()
            self.addCleanup(loop.close)
            loop.call_soon(print)
            self.assertRaises(ZeroDivisionError, run, loop)

    def test_key_of_the_program(self):
        # asyncio expects a pair of handles.
        r, w = os.pipe()
        self.addCleanup(os.close, r)
        self.addCleanup(os.close, w)
        os.write(w, b'x')
        for data, exception in ('text', ValueError), ((1, 2, 3), ValueError), (None, TypeError):
            with self.subTest(data):
                selector = Sel.DefaultSelector()
                selector.register(r, Sel.EVENT_READ, data)
                self.assertRaises(exception, self.make_loop(selector=selector).run_forever)
        selector = Sel.DefaultSelector()
        selector.register(r, Sel.EVENT_READ, [None, None])
        self.make_loop(selector=selector).run_until_complete(yield_often())


class Replacements(TestCase):
    """What is in the place of a part of the turn is called."""

    def replace(self, owner, name):
        """Puts a function in the place of another one. Returns a list that grows with each call."""
        def call(*args):
            calls.append(name)
            return function(*args)

        calls = []
        function = getattr(owner, name)
        patch = unittest.mock.patch.object(owner, name, call)
        patch.start()
        self.addCleanup(patch.stop)
        return calls

    def check(self, loop, *args):
        calls = self.replace(*args)
        loop.run_until_complete(yield_often())
        self.assertGreaterEqual(len(calls), 20)

    def test_nothing(self):
        self.assertTrue(self.make_loop()._is_plain())

    def test_parts_of_an_object(self):
        for name in '_run_once', '_process_events':
            loop = self.make_loop()
            self.check(loop, loop, name)

    def test_select(self):
        selector = Sel.DefaultSelector()
        self.check(self.make_loop(selector=selector), selector, 'select')
        loop = self.make_loop()
        self.check(loop, loop._selector, 'select')

    def test_functions_of_asyncio(self):
        # Tools that look for slow callbacks do so.
        for owner, name in (asyncio.Handle, '_run'), (asyncio.BaseEventLoop, '_run_once'):
            self.check(self.make_loop(), owner, name)

    def test_handles_while_the_loop_runs(self):
        async def main():
            calls = self.replace(asyncio.Handle, '_run')
            await yield_often()
            self.assertGreaterEqual(len(calls), 20)
            self.doCleanups()
            n_calls = len(calls)
            await yield_often()
            self.assertEqual(len(calls), n_calls)

        with contextlib.closing(Sel.asyncio.EventLoop()) as loop:
            loop.run_until_complete(main())


class SignalsInATurn(TestCase):
    """A coroutine runs a main loop, during which the selector of the loop is not polled."""

    def test_handler(self):
        main_loop = GLib.MainLoop()
        self.addCleanup(signal.signal, signal.SIGUSR1, signal.signal(signal.SIGUSR1, lambda *unused: main_loop.quit()))

        async def main():
            # Another process sends the signal when this one sleeps in C code.
            process = subprocess.Popen(['/bin/sh', '-c', """
                until grep -q 'State:.S' /proc/$0/status; do :; done; kill -USR1 $0""", str(os.getpid())])
            main_loop.run()
            process.wait()

        Sel.asyncio.run(main())

    def test_second_interrupt(self):
        # The first one cancels the task, which sees it at its next await. The second one ends the main loop.
        handlers = []

        async def main():
            for unused in range(2):
                self.when_idle(os.kill, os.getpid(), signal.SIGINT)
            handlers.append(signal.getsignal(signal.SIGINT))
            try:
                GLib.MainLoop().run()
            finally:
                handlers.append(signal.getsignal(signal.SIGINT))

        self.assertRaises(KeyboardInterrupt, Sel.asyncio.run, main())
        self.assertEqual(handlers, handlers[:1] * 2)
        self.assertIs(signal.getsignal(signal.SIGINT), signal.default_int_handler)


if __name__ == '__main__':
    tap.main('')
