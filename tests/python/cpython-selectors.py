#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs CPython's own tests of selectors, unchanged, with every class of Sel. Prints TAP.

usage: cpython-selectors.py [TEST...]      for example EpollSelector.test_modify
"""

import math
import select
import sys
import unittest

import tap

Sel = tap.import_sel()

try:
    from test import test_selectors
except ImportError:
    tap.skip_all('missing tool: the tests of CPython for ' + sys.executable)

EXCLUDED = {
    'test_modify_unregister':
        'it replaces a part of the standard library\'s class by the name of the tested class, and looks at the '
        'private "_map"; ours are tested by test-override.py, test_modify_refused',
}


class PythonSelector(Sel.BaseSelector):
    """A selector that is implemented in Python."""

    def __init__(self):
        super().__init__()
        self._poll = select.poll()

    def do_update(self, fd, old_events, new_events):
        if new_events:
            self._poll.register(fd, (select.POLLIN if new_events & Sel.EVENT_READ else 0)
                                | (select.POLLOUT if new_events & Sel.EVENT_WRITE else 0))
        else:
            self._poll.unregister(fd)
        return True

    def do_wait(self, timeout):
        # A signal handler runs inside poll(), which then continues.
        for fd, events in self._poll.poll(None if timeout == math.inf else math.ceil(timeout * 1000)):
            self.report(fd, (Sel.EVENT_READ if events & ~select.POLLOUT else 0)
                        | (Sel.EVENT_WRITE if events & ~select.POLLIN else 0))
        return True


def make_tests():
    """Returns, for each class, CPython's test case of the class with the same name."""
    classes = {'DefaultSelector': Sel.DefaultSelector}
    for name in 'SelectSelector', 'PollSelector', 'EpollSelector', 'DevpollSelector', 'KqueueSelector':
        if getattr(Sel, name).is_supported():
            classes[name] = getattr(Sel, name)
    cases = {name: getattr(test_selectors, name + 'TestCase') for name in classes}

    classes['PythonSelector'] = PythonSelector
    cases['PythonSelector'] = test_selectors.PollSelectorTestCase

    for name, case in cases.items():
        globals()[name] = type(name, (case,), {'SELECTOR': classes[name], '__module__': '__main__'})
    return list(cases)


if __name__ == '__main__':
    names = make_tests()
    sys.exit(tap.run(unittest.TestLoader().loadTestsFromNames(sys.argv[1:] or names, sys.modules['__main__']),
                     excluded=EXCLUDED))
