#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs CPython's own tests of asyncio, unchanged, with Sel.asyncio.EventLoop. Prints TAP.

A test that creates a loop gets one on the GLib main loop. A test that creates a loop with a selector of the standard
library gets one with the selector of the same name in Sel.

usage: cpython-asyncio.py [TEST...]      for example test_events.EPollEventLoopTests.test_call_later
"""

import asyncio
import os
import sys
import unittest

import tap

Sel = tap.import_sel()

try:
    import test.test_asyncio
    from test import support
except ImportError:
    tap.skip_all('missing tool: the tests of CPython for ' + sys.executable)

MODULES = [
    'test_base_events', 'test_buffered_proto', 'test_context', 'test_events', 'test_futures2', 'test_locks',
    'test_pep492', 'test_queues', 'test_runners', 'test_sendfile', 'test_server', 'test_sock_lowlevel', 'test_ssl',
    'test_sslproto',
    'test_streams', 'test_subprocess', 'test_taskgroups', 'test_tasks', 'test_threads', 'test_timeouts',
    'test_unix_events', 'test_waitfor',
]

EXCLUDED = {
    'PolicyTests.test_default_event_loop_policy_deprecation':
        'main () replaces the name whose use it wants to warn',
}


class TestedEventLoop(Sel.asyncio.EventLoop):
    """Accepts a selector, as the loop of the standard library does."""

    n_turns = 0

    def __init__(self, selector=None):
        name = type(selector).__name__ if selector is not None else 'DefaultSelector'
        if selector is not None:
            selector.close()
        super().__init__(selector=getattr(Sel, name)())

    def _take_turn(self, *args):
        TestedEventLoop.n_turns += 1
        return super()._take_turn(*args)


class TestedPolicy(Sel.asyncio.EventLoopPolicy):
    _loop_factory = TestedEventLoop


def main():
    asyncio.SelectorEventLoop = asyncio.EventLoop = TestedEventLoop
    # For loops that asyncio creates by itself, even after a test has reset the policy.
    asyncio.DefaultEventLoopPolicy = TestedPolicy
    support.use_resources = ['network'] if os.environ.get('SEL_TEST_NETWORK') else []
    names = ['test.test_asyncio.' + name for name in sys.argv[1:] or MODULES]
    status = tap.run(unittest.TestLoader().loadTestsFromNames(names), excluded=EXCLUDED)
    print('%d turns of the tested loop' % TestedEventLoop.n_turns, file=sys.stderr)
    return status if TestedEventLoop.n_turns > 0 else 1


if __name__ == '__main__':
    sys.exit(main())
