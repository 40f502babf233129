#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tests what ends or replaces the turns of Sel.asyncio: forks, errors of the start, broken selectors, and functions in
place of those of asyncio. Prints TAP."""

import asyncio
import os
import threading
import unittest

import tap

Sel = tap.import_sel()

from gi.repository import GLib  # noqa: E402


class TestCase(unittest.TestCase):

    def make_loop(self, **arguments):
        loop = Sel.asyncio.EventLoop(**arguments)
        self.addCleanup(loop.close)
        return loop

    def when_idle(self, function, *args):
        """Makes GLib call a function once."""
        def call(*unused):
            function(*args)
            return GLib.SOURCE_REMOVE
        GLib.idle_add(call)


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


if __name__ == '__main__':
    tap.main('')
