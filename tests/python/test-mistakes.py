#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tests the errors for wrong arguments and unsuitable callbacks in Python. Prints TAP."""

import asyncio
import contextlib
import decimal
import errno
import fractions
import functools
import io
import os
import selectors
import sys
import unittest
import warnings

import tap

Sel = tap.import_sel()

from gi.repository import Gio, GLib  # noqa: E402

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE


class Mistakes(unittest.TestCase):

    def setUp(self):
        self.r, self.w = os.pipe()
        self.addCleanup(os.close, self.r)
        self.addCleanup(os.close, self.w)
        self.selector = Sel.DefaultSelector()
        self.addCleanup(self.selector.close)

    def run_context(self, condition):
        context = GLib.MainContext.default()
        # With Python 3.14, PyGObject itself uses policies of asyncio when it iterates a context.
        with warnings.catch_warnings():
            warnings.filterwarnings('ignore', "'asyncio", DeprecationWarning)
            while not condition():
                context.iteration(True)

    def test_numbers_that_are_no_descriptors(self):
        """A number that no int of C can hold is not registered, as in the standard library."""
        selector = self.selector
        selector.register(self.w, WRITE)
        for number in 1 << 31, 1 << 32, (1 << 32) + self.w, 1 << 64:
            with self.subTest(number):
                self.assertNotIn(number, selector.get_map())
                self.assertIsNone(selector.get_map().get(number))
                for function in (selector.unregister, selector.get_key, selector.get_map().__getitem__,
                                 selector.refresh, lambda number: selector.modify(number, READ),
                                 lambda number: selector.set_callback(number, None)):
                    with self.assertRaises(KeyError):
                        function(number)
                self.assertRaises((OverflowError, ValueError), selector.register, number, READ)
        self.assertEqual(list(selector.get_map()), [self.w])

    def test_timeouts_that_are_no_numbers_of_python(self):
        class Number:
            def __float__(self):
                return 0.0
            __index__ = __int__ = lambda self: 0

        os.write(self.w, b'x')
        self.selector.register(self.r, READ)
        for timeout in decimal.Decimal('0.1'), Number(), '0', [], 1j:
            with self.subTest(timeout):
                self.assertRaises(TypeError, self.selector.select, timeout)
        for timeout in fractions.Fraction(1, 100), True, -1:
            self.assertEqual(len(self.selector.select(timeout)), 1)

    def test_file_object_that_fails(self):
        class File:
            def fileno(self):
                raise OSError(errno.EIO, 'on purpose')

        self.assertRaises(OSError, self.selector.get_key, File())
        self.selector.close()
        self.assertRaises(RuntimeError, self.selector.get_key, File())

    def test_callbacks_that_cannot_be_called(self):
        selector = self.selector
        selector.register(self.r, READ)
        for func in None, 5, 'text', object():
            with self.subTest(func):
                self.assertRaises(TypeError, selector.register_callback, self.w, WRITE, func)
                if func is not None:
                    self.assertRaises(TypeError, selector.set_callback, self.r, func)
                    self.assertRaises(TypeError, selector.attach, None, 0, func)
                    self.assertRaises(TypeError, selector.create_dispatch_source, func)
        self.assertEqual(list(selector.get_map()), [self.r])

    def test_async_callbacks(self):
        """A coroutine would count as true, so that the callback would be called for ever and never run."""
        async def coroutine(*args):
            return False

        async def async_generator(*args):
            yield False

        def generator(*args):
            yield False

        class Method:
            async def method(self, *args):
                return False

        selector = self.selector
        selector.register(self.r, READ)
        for func in coroutine, async_generator, generator, Method().method, functools.partial(coroutine, 1):
            with self.subTest(func):
                for call in (lambda: selector.register_callback(self.w, WRITE, func),
                             lambda: selector.set_callback(self.r, func),
                             lambda: selector.attach(None, 0, func),
                             lambda: selector.create_dispatch_source(func)):
                    self.assertRaisesRegex(TypeError, 'async', call)
        self.assertEqual(list(selector.get_map()), [self.r])

    def test_callbacks_that_return_an_awaitable(self):
        async def coroutine():
            return True

        calls = []

        def func(*args):
            calls.append(args)
            return coroutine()

        # PyGObject prints the exception, and the descriptor is unregistered.
        printed = io.StringIO()
        self.addCleanup(setattr, sys, 'stderr', sys.stderr)
        sys.stderr = printed
        self.selector.register_callback(self.w, WRITE, func)
        number = self.selector.attach()
        self.run_context(lambda: self.w not in self.selector.get_map())
        self.assertEqual(len(calls), 1)
        self.assertIn('awaitable', printed.getvalue())
        self.assertNotIn('never awaited', printed.getvalue())
        GLib.source_remove(number)

    def test_results_of_something_else(self):
        selector, results = self.selector, []

        selector.select_async(0, callback=lambda source, result: results.append(result))
        self.run_context(lambda: results)
        with Sel.DefaultSelector() as other:
            self.assert_invalid(other.select_finish, results[0])
        self.assert_invalid(selector.select_finish, Gio.Task.new(selector, None, None))
        self.assertEqual(selector.select_finish(results[0]), [])
        self.assert_invalid(selector.select_finish, results[0])
        self.assertRaises(TypeError, selector.select_finish, None)
        self.assertRaises(TypeError, selector.select_finish, selector)

    def test_loop_without_main_loop(self):
        """A loop that does not run a GLib main loop would wait for ever, also with a timeout."""
        async def main():
            wait = asyncio.ensure_future(self.selector.select_async(0))
            await asyncio.sleep(0)
            self.assertTrue(wait.done())
            self.assertRaisesRegex(RuntimeError, 'Sel.asyncio', wait.result)
            return self.selector.select(0)

        with contextlib.closing(asyncio.SelectorEventLoop()) as loop:
            self.assertEqual(loop.run_until_complete(main()), [])

    def assert_invalid(self, function, result):
        with self.assertRaises(GLib.Error) as caught:
            function(result)
        self.assertTrue(caught.exception.matches(Gio.io_error_quark(), Gio.IOErrorEnum.INVALID_ARGUMENT))

    def test_order_of_arguments(self):
        selector = self.selector
        for call in (lambda: selector.attach(lambda *args: True), lambda: selector.attach(None, 'high'),
                     lambda: selector.select(Gio.Cancellable()), lambda: selector.select(0, 1),
                     lambda: selector.select_async(0, 0, None, 5)):
            self.assertRaises(TypeError, call)
        self.assertRaises(ValueError, selector.register, READ, self.w + 100)


if __name__ == '__main__':
    warnings.simplefilter('error')
    tap.main('')
