#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Does the same work with Python's own selectors and event loops and with those of this library, in alternating
batches.

Prints one line for each work, with tabs: the ratio of processor time (quartiles and median) to the standard library,
and the time of one unit in nanoseconds. The event loop of this library is `asyncio`; uvloop and the loop of PyGObject
have names of their own, if they are installed.

usage: from-python.py [WORK...]      for example "echo" for all works whose names contain this word
"""

import asyncio
import collections
import contextlib
import os
import selectors
import statistics
import sys
import time

EVENTS = selectors.EVENT_READ
N_ROUNDS = int(os.environ.get("SEL_BENCHMARK_ROUNDS", "41"))


def import_sel():
    """Returns the typelib with its override, or the reason why it cannot be loaded."""
    try:
        import gi
        gi.require_version("Sel", "1.0")
        from gi.repository import Sel
    except (ImportError, ValueError) as error:
        return None, str(error)
    if not hasattr(Sel, "EVENT_READ"):
        return None, "the override for Python is missing"
    return Sel, None


def select_work(n_idle, n_ready):
    def prepare(selector, idle, ready):
        for fd in idle[:n_idle] + ready[:n_ready]:
            selector.register(fd, EVENTS)

    def run(selector, idle, ready):
        for _key, _events in selector.select():
            pass
        return 1

    return "select, %d of %d ready" % (n_ready, n_idle + n_ready), prepare, run


def register_work():
    def prepare(selector, idle, ready):
        pass

    def run(selector, idle, ready):
        for fd in idle[:100]:
            selector.register(fd, EVENTS)
        for fd in idle[:100]:
            selector.unregister(fd)
        return 100

    return "register + unregister", prepare, run


def modify_work():
    def prepare(selector, idle, ready):
        for fd in ready[:100]:
            selector.register(fd, EVENTS)

    def run(selector, idle, ready):
        for events in (selectors.EVENT_WRITE, selectors.EVENT_READ):
            for fd in ready[:100]:
                selector.modify(fd, events)
        return 200

    return "modify", prepare, run


def print_ratios(name, ours, theirs):
    """Compares two functions without arguments, which return how many units they have done, in alternating batches."""
    n = 1
    while True:
        start = time.process_time_ns()
        for _ in range(n):
            theirs()
        if time.process_time_ns() - start > 2e6:
            break
        n *= 2
    ratios, times = [], []
    for _ in range(N_ROUNDS):
        before = measure(theirs, n)
        own = measure(ours, n)
        ratios.append(own / ((before + measure(theirs, n)) / 2))
        times.append(own)
    low, middle, high = statistics.quantiles(ratios, n=4)
    print("python\t%s\t%.3f\t%.3f\t%.3f\t%.1f" % (name, low, middle, high, statistics.median(times)), flush=True)


def measure(function, n):
    start = time.process_time_ns()
    n_units = sum(function() for _ in range(n))
    return (time.process_time_ns() - start) / n_units


def compare_selectors(work, make_own, make_other, idle, ready):
    name, prepare, run = work
    if not is_wanted(name):
        return
    with make_own() as own, make_other() as other:
        prepare(own, idle, ready)
        prepare(other, idle, ready)
        print_ratios(name, lambda: run(own, idle, ready), lambda: run(other, idle, ready))


transports = collections.defaultdict(list)        # by loop


class Echo(asyncio.Protocol):
    """Sends back what it receives. A client counts, and stops at the end of its batch."""

    def __init__(self, client=None):
        self.client = client

    def connection_made(self, transport):
        self.transport = transport
        transports[asyncio.get_running_loop()].append(transport)

    def data_received(self, data):
        if self.client is None or self.client.goes_on():
            self.transport.write(data)


class EchoClient:
    """Connections over TCP that each have one message on its way."""

    MESSAGE = b"x" * 100

    def __init__(self, loop, n_connections):
        self.loop = loop
        self.n_connections = n_connections
        loop.run_until_complete(self.connect())

    async def connect(self):
        self.server = await self.loop.create_server(Echo, "127.0.0.1", 0, backlog=1000)
        address = self.server.sockets[0].getsockname()
        self.protocols = [(await self.loop.create_connection(lambda: Echo(self), *address))[1]
                          for _ in range(self.n_connections)]

    def goes_on(self):
        self.n_left -= 1
        if self.n_left == 0:
            self.done.set_result(None)
        return self.n_left >= self.n_connections

    async def exchange(self):
        self.n_left = n = 2 * max(self.n_connections, 250)
        self.done = self.loop.create_future()
        for protocol in self.protocols:
            protocol.transport.write(self.MESSAGE)
        await self.done
        return n


def echo_work(n_connections):
    return ("echo, %d connection%s" % (n_connections, "s" if n_connections > 1 else ""),
            lambda loop: EchoClient(loop, n_connections).exchange)


def call_soon_work(n_callbacks):
    """Callbacks that each schedule themselves again."""
    n_units = max(1000, 10 * n_callbacks)

    def prepare(loop):
        async def run():
            done = loop.create_future()
            left = n_units

            def callback():
                nonlocal left
                left -= 1
                if left == 0:
                    done.set_result(None)
                elif left >= n_callbacks:
                    loop.call_soon(callback)

            for _ in range(n_callbacks):
                loop.call_soon(callback)
            await done
            return n_units
        return run
    return "call_soon, %d a turn" % n_callbacks, prepare


def call_later_work():
    def prepare(loop):
        async def run():
            for _ in range(1000):
                loop.call_later(10, print).cancel()
            return 1000
        return run
    return "call_later and cancel", prepare


def sleep_work():
    def prepare(loop):
        async def run():
            for _ in range(10):
                await asyncio.gather(*(asyncio.sleep(0.001) for _ in range(100)))
            return 1000
        return run
    return "sleep, 100 tasks", prepare


def threadsafe_work():
    def prepare(loop):
        async def run():
            for _ in range(200):
                done = loop.create_future()
                loop.call_soon_threadsafe(done.set_result, None)
                await done
            return 200
        return run
    return "call_soon_threadsafe", prepare


def start_work():
    def prepare(loop):
        async def run():
            return 1
        return run
    return "run_until_complete", prepare


def find_loops(Sel):
    """Returns the functions that create the loops, by name. The first name is empty."""
    loops = {"": Sel.asyncio.EventLoop}
    try:
        import uvloop
        loops["uvloop"] = uvloop.new_event_loop
    except ImportError:
        pass
    try:
        from gi.events import GLibEventLoop
        from gi.repository import GLib
        loops["gi.events"] = lambda: GLibEventLoop(GLib.MainContext())
    except ImportError:
        pass
    return loops


def compare_loops(work, name, make_own):
    work_name, prepare = work
    work_name = "asyncio: %s%s" % (work_name, name and " (%s)" % name)
    if not is_wanted(work_name):
        return
    with contextlib.closing(make_own()) as own, contextlib.closing(asyncio.SelectorEventLoop()) as other:
        run_own, run_other = prepare(own), prepare(other)
        print_ratios(work_name, lambda: own.run_until_complete(run_own()),
                     lambda: other.run_until_complete(run_other()))
        # Let the loops close their connections.
        for loop in own, other:
            for transport in transports.pop(loop, ()):
                transport.abort()
            loop.run_until_complete(asyncio.sleep(0.01))


def fix_malloc():
    """Starts the program again with fixed thresholds of malloc(). Otherwise glibc may trim the heap at each recv()."""
    thresholds = {"MALLOC_TRIM_THRESHOLD_": "100000000", "MALLOC_MMAP_THRESHOLD_": "100000000",
                  "MALLOC_TOP_PAD_": "10000000"}
    if not thresholds.keys() <= os.environ.keys():
        os.execve(sys.executable, [sys.executable, *sys.argv], {**thresholds, **os.environ})


def is_wanted(name):
    return len(sys.argv) == 1 or any(word in name for word in sys.argv[1:])


def main():
    fix_malloc()
    Sel, reason = import_sel()
    if Sel is None:
        print("missing\t\tPython\t%s" % reason)
        return

    idle = [os.eventfd(0) for _ in range(300)]
    ready = [os.eventfd(1) for _ in range(300)]

    for n_idle, n_ready in ((100, 0), (100, 1), (100, 10), (300, 100), (0, 300)):
        work = select_work(n_idle, n_ready)
        if n_ready == 0:
            work = ("select (0), nothing of %d ready" % n_idle, work[1],
                    lambda selector, idle, ready: len(selector.select(0)) + 1)
        compare_selectors(work, Sel.EpollSelector, selectors.EpollSelector, idle, ready)
    compare_selectors(register_work(), Sel.EpollSelector, selectors.EpollSelector, idle, ready)
    compare_selectors(modify_work(), Sel.EpollSelector, selectors.EpollSelector, idle, ready)

    works = [echo_work(n) for n in (1, 10, 100, 1000)]
    works += [call_soon_work(1), call_soon_work(1000), call_later_work(), sleep_work(), threadsafe_work(),
              start_work()]
    for name, make in find_loops(Sel).items():
        for work in works:
            # Some loops cannot have so many connections, or take very long.
            if name != "gi.events" or work[0] != "echo, 1000 connections":
                compare_loops(work, name, make)


if __name__ == "__main__":
    sys.exit(main())
