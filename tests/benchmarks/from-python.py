#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Does the same work with Python's own selectors and with those of this library, in alternating batches.

Prints one line for each work, with tabs: the ratio (quartiles and median) and the time of one unit in
nanoseconds with this library.
"""

import os
import selectors
import statistics
import sys
import time

EVENTS = selectors.EVENT_READ
N_ROUNDS = 41


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


def measure(run, selector, idle, ready, n):
    start = time.process_time_ns()
    n_units = sum(run(selector, idle, ready) for _ in range(n))
    return (time.process_time_ns() - start) / n_units


def compare(work, make_own, make_other, idle, ready):
    name, prepare, run = work
    with make_own() as own, make_other() as other:
        prepare(own, idle, ready)
        prepare(other, idle, ready)
        n = 1
        while True:
            start = time.process_time_ns()
            for _ in range(n):
                run(other, idle, ready)
            if time.process_time_ns() - start > 2e6:
                break
            n *= 2
        ratios, times = [], []
        for _ in range(N_ROUNDS):
            theirs = measure(run, other, idle, ready, n)
            ours = measure(run, own, idle, ready, n)
            theirs = (theirs + measure(run, other, idle, ready, n)) / 2
            ratios.append(ours / theirs)
            times.append(ours)
    low, middle, high = statistics.quantiles(ratios, n=4)
    print("python\t%s\t%.3f\t%.3f\t%.3f\t%.1f" % (name, low, middle, high, statistics.median(times)), flush=True)


def main():
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
        compare(work, Sel.EpollSelector, selectors.EpollSelector, idle, ready)
    compare(register_work(), Sel.EpollSelector, selectors.EpollSelector, idle, ready)
    compare(modify_work(), Sel.EpollSelector, selectors.EpollSelector, idle, ready)


if __name__ == "__main__":
    sys.exit(main())
