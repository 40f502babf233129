# SPDX-License-Identifier: LGPL-2.1-or-later
"""The base of the tests of event loops."""

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
