#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tests event loops of Sel.asyncio in several threads, and the main contexts on which they run. Prints TAP."""

import asyncio
import os
import subprocess
import sys
import threading
import time
import unittest

import loops
import tap

Sel = tap.import_sel()

from gi.repository import GLib  # noqa: E402


def run_in_thread(function, *args):
    """Returns the result of a function that another thread has called."""
    results = []
    thread = threading.Thread(target=lambda: results.append(function(*args)))
    thread.start()
    thread.join()
    return results.pop()


async def get_context():
    """Returns a coroutine's thread-default context, which is None for the global default context."""
    return GLib.MainContext.get_thread_default()


class Threads(loops.TestCase):

    def check_in_background(self, loop):
        """Runs a loop in another thread, as programs do that have a background thread for asyncio."""
        started = threading.Event()

        def run():
            try:
                loop.run_forever()
            finally:
                started.set()

        loop.call_soon_threadsafe(started.set)
        thread = threading.Thread(target=run)
        thread.start()
        started.wait()
        self.assertTrue(loop.is_running())
        future = asyncio.run_coroutine_threadsafe(asyncio.sleep(0, 'result'), loop)
        self.assertEqual(future.result(), 'result')
        self.assertIsNotNone(asyncio.run_coroutine_threadsafe(get_context(), loop).result())
        loop.call_soon_threadsafe(loop.stop)
        thread.join()

    def test_to_thread(self):
        async def main():
            return await asyncio.gather(*(asyncio.to_thread(threading.get_ident) for unused in range(10)))
        self.assertNotIn(threading.get_ident(), Sel.asyncio.run(main()))

    def test_loop_of_a_thread(self):
        # Each thread has its own context. GLib's asynchronous functions call their callbacks there, too.
        results = []

        async def main():
            self.assertIsNotNone(await get_context())
            r, w = os.pipe()
            os.write(w, b'x')
            with Sel.DefaultSelector() as selector:
                key = selector.register(r, Sel.EVENT_READ)
                results.append(await selector.select_async() == [(key, Sel.EVENT_READ)])
            os.close(r)
            os.close(w)

        threads = [threading.Thread(target=lambda: Sel.asyncio.run(main())) for unused in range(3)]
        for thread in threads:
            thread.start()
        Sel.asyncio.run(asyncio.sleep(0))
        for thread in threads:
            thread.join()
        self.assertEqual(results, [True] * 3)

    def test_loop_is_made_for_another_thread(self):
        # The main thread runs the global default context meanwhile.
        loop = self.make_loop()

        async def main():
            self.check_in_background(loop)
            self.check_in_background(self.make_loop())
        Sel.asyncio.run(main())

        # The thread that runs the loop chooses its context each time.
        self.assertIsNone(loop.run_until_complete(get_context()))
        self.check_in_background(loop)

    def test_selector_in_python(self):
        # The library calls update () with its lock held. A turn that asks the selector meanwhile has to let it finish.
        class Selector(Sel.EpollSelector):
            def do_update(self, fd, old_events, new_events):
                time.sleep(0)
                return Sel.EpollSelector.do_update(self, fd, old_events, new_events)

        selector = Selector()
        loop = self.make_loop(selector=selector)
        r, w = os.pipe()
        idle, unused = os.pipe()
        os.write(w, b'x')
        turns = []

        async def main():
            loop.add_reader(r, turns.append, None)
            await asyncio.to_thread(change)
            loop.remove_reader(r)

        def change():
            for unused in range(300):
                selector.register(idle, Sel.EVENT_READ)
                selector.unregister(idle)

        loop.run_until_complete(main())
        self.assertGreater(len(turns), 0)
        for fd in r, w, idle, unused:
            os.close(fd)

    def test_main_loop_beside_a_background_loop(self):
        loop = self.make_loop()
        main_loop = GLib.MainLoop()

        def check():
            self.check_in_background(loop)
            main_loop.quit()

        GLib.idle_add(check)
        main_loop.run()

    def test_own_context_is_kept(self):
        loop = self.make_loop()

        def run():
            return [loop.run_until_complete(get_context()) for unused in range(2)]
        contexts = run_in_thread(run) + run_in_thread(run)
        self.assertIsNotNone(contexts[0])
        self.assertEqual(contexts, contexts[:1] * 4)

    def test_thread_default_context(self):
        loop = self.make_loop()
        context = GLib.MainContext()

        def run():
            context.push_thread_default()
            try:
                return loop.run_until_complete(get_context())
            finally:
                context.pop_thread_default()
        self.assertEqual(run_in_thread(run), context)

    def test_given_context(self):
        context = GLib.MainContext()
        loop = self.make_loop(context=context)
        self.assertEqual(loop.run_until_complete(get_context()), context)
        self.assertEqual(run_in_thread(loop.run_until_complete, get_context()), context)

    def test_context_of_another_thread(self):
        context = GLib.MainContext()
        owned, done = threading.Event(), threading.Event()

        def own():
            context.acquire()
            owned.set()
            done.wait()
            context.release()

        thread = threading.Thread(target=own)
        thread.start()
        owned.wait()
        loop = self.make_loop(context=context)
        self.assertRaises(RuntimeError, loop.run_forever)
        self.assertFalse(loop.is_running())
        done.set()
        thread.join()
        loop.call_soon(loop.stop)
        loop.run_forever()

    @unittest.skipUnless(hasattr(asyncio, 'DefaultEventLoopPolicy'), 'this version of Python has no policies')
    def test_policy_for_context(self):
        policy = Sel.asyncio.EventLoopPolicy()
        loop = self.make_loop()
        policy.set_event_loop(loop)
        self.assertIs(policy.get_event_loop_for_context(GLib.MainContext.default()), loop)
        self.assertIsNone(policy.get_event_loop_for_context(GLib.MainContext()))
        self.assertIsNone(run_in_thread(policy.get_event_loop_for_context, GLib.MainContext.default()))

    def run_program(self, text):
        result = subprocess.run([sys.executable, '-c', text], stderr=subprocess.PIPE, text=True)
        self.assertEqual((result.returncode, result.stderr), (0, ''))

    def test_first_use_in_two_threads(self):
        # The second thread uses the module while the first one loads it: a subclass comes into being in the middle.
        self.run_program("""if True:
            import asyncio, gi, threading
            gi.require_version('Sel', '1.0')
            from gi.repository import Sel

            def run():
                Sel.asyncio.run(asyncio.sleep(0))

            class Base(asyncio.SelectorEventLoop):
                def __init_subclass__(cls):
                    thread.start()
                    # It waits for this thread, or fails at once.
                    thread.join(0.1)

            thread = threading.Thread(target=run)
            asyncio.SelectorEventLoop = Base
            run()
            thread.join()
            """)

    def test_accelerator_is_loaded_twice(self):
        # As two threads do that use their first selectors at once. Python calls the function without a lock.
        self.run_program("""if True:
            import gi
            gi.require_version('Sel', '1.0')
            from gi.repository import Sel
            from gi.overrides import Sel as override
            for unused in range(2):
                override.load_accelerator.__wrapped__()
            with Sel.DefaultSelector() as selector:
                for name in '_keys', '_callbacks':
                    table = getattr(Sel.BaseSelector, name).func(selector)
                    assert getattr(Sel.BaseSelector, name).func(selector) is table is getattr(selector, name)
                try:
                    selector.register('invalid', Sel.EVENT_READ)
                except ValueError:
                    pass
            """)


if __name__ == '__main__':
    tap.main('')
