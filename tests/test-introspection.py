#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tests the typelib without an override, as any language can use it. Prints TAP."""

import gc
import math
import os
import select
import sys
import traceback

try:
    import gi
except ImportError:
    print('1..0 # SKIP missing tool: PyGObject for', sys.executable)
    sys.exit(0)

# Disables an installed override.
sys.modules['gi.overrides.Sel'] = None

gi.require_version('Sel', '1.0')
from gi.repository import Gio, GLib, GObject, Sel  # noqa: E402

try:
    gi.require_version('SelTest', '1.0')
    from gi.repository import SelTest
except ValueError:
    SelTest = None

READ, WRITE = Sel.EventMask.READ, Sel.EventMask.WRITE


class Pipe:
    def __enter__(self):
        self.fds = os.pipe()
        return self.fds

    def __exit__(self, *unused):
        for fd in self.fds:
            os.close(fd)


def assert_fails(quark, code, function, *args):
    try:
        function(*args)
    except GLib.Error as error:
        assert (error.domain, error.code) == (GLib.quark_to_string(quark), code), error
    else:
        raise AssertionError('no error')


def test_round():
    data = object()
    selector = Sel.default_selector_new()
    with Pipe() as (r, w):
        key = selector.register(r, READ, data)
        assert key.get_fd() == r and key.get_events() == READ and key.get_data() is data
        assert selector.get_key(r) is key
        assert selector.select(0) == []
        os.write(w, b'x')
        event, = selector.select(math.inf)
        assert event.get_key() is key and event.get_events() == READ
        assert selector.select_fds(0) == (True, [r], bytes([READ]))
        new = selector.modify(r, READ | WRITE)
        assert new is not key and new.get_data() is None and key.get_events() == READ
        assert [k.get_fd() for k in selector.get_map().get_keys()] == [r]
        assert selector.unregister(r) is new
        selector.close()
        assert selector.get_map() is None


def test_errors():
    quark, code = Sel.selector_error_quark(), Sel.SelectorError
    selector = Sel.PollSelector()
    with Pipe() as (r, w):
        assert_fails(quark, code.INVALID_EVENTS, selector.register, r, 0)
        assert_fails(quark, code.INVALID_FILE, selector.register, -1, READ)
        assert_fails(Sel.os_error_domain(), 9, selector.register, 123456, READ)
        assert_fails(quark, code.NOT_REGISTERED, selector.unregister, r)
        assert_fails(quark, code.INVALID_TIMEOUT, selector.select, math.nan)
        selector.register(r, READ)
        assert_fails(quark, code.ALREADY_REGISTERED, selector.register, r, READ)
        selector.close()
        assert_fails(quark, code.CLOSED, selector.select, 0)


class PySelector(Sel.BaseSelector):
    """A backend in Python."""

    def __init__(self):
        super().__init__()
        self.poll = select.poll()

    def do_update(self, fd, old, new):
        if new:
            self.poll.register(fd, (select.POLLIN if new & READ else 0) | (select.POLLOUT if new & WRITE else 0))
        else:
            self.poll.unregister(fd)
        return True

    def do_wait(self, timeout):
        for fd, events in self.poll.poll(None if timeout == math.inf else timeout * 1000):
            self.report(fd, Sel.EventMask((READ if events & ~select.POLLOUT else 0) |
                                          (WRITE if events & ~select.POLLIN else 0)))
        return True

class ReleasedSelector(PySelector):
    released = None

    def do_release(self, forked):
        self.released = forked


def test_subclass():
    selector = ReleasedSelector()
    calls = []
    with Pipe() as (r, w):
        selector.register(r, READ)
        os.write(w, b'x')
        event, = selector.select(math.inf)
        assert event.get_key().get_fd() == r and event.get_events() == READ
        context = GLib.MainContext.new()
        selector.attach(context, GLib.PRIORITY_DEFAULT,
                        lambda s, key, events: calls.append((s, key.get_fd(), events)) or True)
        context.iteration(False)
        assert calls == [(selector, r, READ)]
        selector.close()
        assert selector.released is False


def test_subclass_raises():
    class Broken(PySelector):
        def do_wait(self, timeout):
            raise OSError('on purpose')

    hook, sys.excepthook = sys.excepthook, lambda *unused: None
    try:
        with Pipe() as (r, w):
            selector = Broken()
            selector.register(r, READ)
            assert_fails(Sel.selector_error_quark(), Sel.SelectorError.FAILED, selector.select, 0)
            selector.close()
    finally:
        sys.excepthook = hook


def test_file_object():
    class File(GObject.Object, Sel.FileObject):
        def do_query_fd(self):
            return self.fd >= 0, self.fd

    selector = Sel.default_selector_new()
    with Pipe() as (r, w):
        file = File()
        file.fd = r
        key = selector.register_object(file, READ)
        assert key.get_fileobj() is file and key.get_fd() == r
        file.fd = -1
        assert selector.unregister_object(file) is key
        assert_fails(Sel.selector_error_quark(), Sel.SelectorError.INVALID_FILE, selector.register_object, file, READ)


def test_dropped():
    with Pipe() as (r, w):
        before = len(os.listdir('/proc/self/fd'))
        for cls in (PySelector, Sel.PollSelector):
            for unused in range(50):
                selector = cls()
                selector.register(r, READ)
        del selector
        gc.collect()
        assert len(os.listdir('/proc/self/fd')) == before


def growth_of(function, n=20000):
    """Calls a function 5 * n times. Returns the bytes that each call leaves: the median of five batches."""
    growths = []
    for unused in range(5):
        gc.collect()
        before = SelTest.memory_in_use()
        for unused in range(n):
            function()
        gc.collect()
        growths.append((SelTest.memory_in_use() - before) / n)
    return sorted(growths)[2]


def test_lists_do_not_grow():
    selector = Sel.default_selector_new()
    mapping = selector.get_map()
    results = []

    def select_finish():
        selector.select_async(0, 0, None, lambda source, result: results.append(source.select_finish(result)))
        while not results:
            GLib.MainContext.default().iteration(True)
        return results.pop()

    kept = []
    assert growth_of(lambda: kept.append(Gio.Cancellable()), 1000) > 1
    with Pipe() as (r, w):
        other = os.dup(w)
        selector.register(w, WRITE)
        selector.register(other, WRITE)
        os.close(other)
        for function, n in ((lambda: selector.select(0), 20000), (mapping.get_keys, 20000), (selector.check, 20000),
                            (select_finish, 2000)):
            assert function()
            growth = growth_of(function, n)
            print('# %g bytes for each call' % growth)
            # PyGObject keeps memory for each asynchronous callback.
            assert growth < (100 if function is select_finish else 1)


# The library with memory_in_use() is built only where the C library has mallinfo2().
if SelTest is None:
    del test_lists_do_not_grow


def main():
    tests = [(name[5:], test) for name, test in globals().items() if name.startswith('test_')]
    failed = 0
    print('1..%d' % len(tests))
    for number, (name, test) in enumerate(tests, 1):
        try:
            test()
            print('ok %d /introspection/%s' % (number, name))
        except Exception:
            failed += 1
            print('not ok %d /introspection/%s' % (number, name))
            print('# ' + traceback.format_exc().replace('\n', '\n# '))
        sys.stdout.flush()
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
