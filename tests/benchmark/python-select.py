#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What select() costs in Python, beside the standard library's over the same descriptors.

The two take turns, and each figure is the median of many rounds; only the last column is worth comparing between
machines.

usage: python-select.py [CLASS...]      for example EpollSelector
"""

import os
import resource
import selectors
import statistics
import sys
import time

import gi

gi.require_version('Sel', '1.0')
from gi.repository import Sel  # noqa: E402

READY = 1, 10, 100, 1000
N_ROUNDS = 41


def measure(function, n):
    """Seconds of the processor for one call, in the program and in the kernel."""
    begin = time.process_time()
    for unused in range(n):
        function()
    return (time.process_time() - begin) / n


def compare(ours, theirs, n):
    """The medians of two functions that are called in turns, and of their ratios."""
    pairs = []
    for number in range(N_ROUNDS):
        if number % 2 == 0:
            a, b = measure(ours, n), measure(theirs, n)
        else:
            b, a = measure(theirs, n), measure(ours, n)
        pairs.append((a, b, a / b))
    return [statistics.median(column) for column in zip(*pairs)]


def row(what, name, result):
    print('%-16s %-24s %9.2f %9.2f %7.2f' % (name, what, result[0] * 1e6, result[1] * 1e6, result[2]), flush=True)


def main():
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit[1], limit[1]))
    print('%-16s %-24s %9s %9s %7s' % ('class', 'what', 'Sel us', 'stdlib us', 'ratio'))

    for name in sys.argv[1:] or ['SelectSelector', 'PollSelector', 'EpollSelector']:
        for n_ready in READY:
            # select() of the standard library takes no descriptors above 1023.
            if name == 'SelectSelector' and n_ready == 1000:
                continue
            fds = [os.eventfd(1) for unused in range(n_ready)]
            with getattr(Sel, name)() as ours, getattr(selectors, name)() as theirs:
                for fd in fds:
                    ours.register(fd, selectors.EVENT_READ)
                    theirs.register(fd, selectors.EVENT_READ)
                assert sorted(ours.select()) == sorted(theirs.select())
                row('select, %d ready' % n_ready, name, compare(ours.select, theirs.select, 20000 // (n_ready + 10)))
            for fd in fds:
                os.close(fd)

        with getattr(Sel, name)() as ours, getattr(selectors, name)() as theirs:
            fd = os.eventfd(0)

            def cycle(selector):
                selector.register(fd, selectors.EVENT_READ)
                selector.unregister(fd)

            row('register, unregister', name, compare(lambda: cycle(ours), lambda: cycle(theirs), 1000))
            ours.register(fd, selectors.EVENT_READ)
            theirs.register(fd, selectors.EVENT_READ)

            def change(selector):
                selector.modify(fd, selectors.EVENT_WRITE)
                selector.modify(fd, selectors.EVENT_READ)

            row('modify twice', name, compare(lambda: change(ours), lambda: change(theirs), 1000))
            row('get_key', name, compare(lambda: ours.get_key(fd), lambda: theirs.get_key(fd), 1000))
            os.close(fd)


if __name__ == '__main__':
    main()
