#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tests Sel as a replacement of selectors, in addition to CPython's own tests. Prints TAP."""

import ctypes.util
import errno
import gc
import inspect
import math
import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import unittest
import warnings
import weakref

import tap

Sel = tap.import_sel()

import gi  # noqa: E402
from gi.module import get_introspection_module  # noqa: E402
from gi.repository import Gio, GLib, GObject  # noqa: E402

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE

CLASSES = [cls for cls in (Sel.SelectSelector, Sel.PollSelector, Sel.EpollSelector, Sel.DevpollSelector,
                           Sel.KqueueSelector) if cls.is_supported()]


class PythonSelector(Sel.BaseSelector):
    """A selector without a kernel: the test defines the ready descriptors."""

    def __init__(self):
        super().__init__()
        self.ready = []
        self.updates = []
        self.exception = None

    def do_update(self, fd, old_events, new_events):
        if self.exception is not None:
            raise self.exception
        self.updates.append((fd, int(old_events), int(new_events)))
        return True

    def do_wait(self, timeout):
        if self.exception is not None:
            raise self.exception
        for fd, events in self.ready:
            self.report(fd, events)
        return True


class TestCase(unittest.TestCase):

    def pipe(self):
        r, w = os.pipe()
        self.addCleanup(self.close_quietly, r)
        self.addCleanup(self.close_quietly, w)
        return r, w

    def close_quietly(self, fd):
        try:
            os.close(fd)
        except OSError:
            pass

    def selectors(self):
        for cls in CLASSES:
            with cls() as selector:
                yield selector

    def assertOSError(self, code, function, *args):
        with self.assertRaises(OSError) as caught:
            function(*args)
        self.assertEqual(caught.exception.errno, code)

    def run_context(self, condition):
        """Runs the main loop until a condition is true."""
        context = GLib.MainContext.default()
        while not condition():
            context.iteration(True)

    def settle(self):
        while GLib.MainContext.default().iteration(False):
            pass


class Names(TestCase):

    def test_constants(self):
        self.assertEqual((Sel.EVENT_READ, Sel.EVENT_WRITE), (READ, WRITE))
        self.assertEqual(Sel.WAIT_FOREVER, math.inf)

    def test_isinstance(self):
        for selector in self.selectors():
            self.assertIsInstance(selector, selectors.BaseSelector)
            self.assertIsInstance(selector, Sel.BaseSelector)
            self.assertIsInstance(selector, GObject.Object)
        self.assertIsInstance(PythonSelector(), selectors.BaseSelector)
        self.assertTrue(issubclass(Sel.EpollSelector, selectors.BaseSelector))
        self.assertNotIsInstance(GObject.Object(), selectors.BaseSelector)

    def test_default(self):
        self.assertIn(Sel.DefaultSelector, CLASSES)
        self.assertIs(type(Sel.default_selector_new()), Sel.DefaultSelector)

    def test_not_supported(self):
        for cls in Sel.DevpollSelector, Sel.KqueueSelector:
            if not cls.is_supported():
                self.assertOSError(errno.ENOSYS, cls)

    def test_limit(self):
        # A selector that cannot be opened raises an exception in its constructor, as in the standard library.
        program = '''
import errno, resource
import gi
gi.require_version('Sel', '1.0')
from gi.repository import Sel
selectors = []
resource.setrlimit(resource.RLIMIT_NOFILE, (20, 20))
try:
    while True:
        selectors.append(Sel.EpollSelector())
except OSError as error:
    assert error.errno == errno.EMFILE, error
'''
        subprocess.run([sys.executable, '-c', program], check=True)

    def test_no_default(self):
        # Simulates too many open files while the module is loaded.
        program = '''
import gi
gi.require_version('Sel', '1.0')
from gi.module import get_introspection_module
from gi.repository import GObject
get_introspection_module('Sel').default_selector_type = lambda: GObject.TYPE_INVALID
from gi.repository import Sel
assert Sel.DefaultSelector is Sel.PollSelector, Sel.DefaultSelector
'''
        subprocess.run([sys.executable, '-c', program], check=True)

    def test_all_classes(self):
        # Every class of the typelib has an override, also one that is added to the library later.
        for name in dir(get_introspection_module('Sel')):
            cls = getattr(Sel, name)
            if isinstance(cls, type) and issubclass(cls, Sel.BaseSelector) and cls is not Sel.BaseSelector:
                self.assertEqual(cls.__module__, 'gi.overrides.Sel')
                self.assertEqual(cls.__name__, name)
                self.assertEqual(hasattr(cls, 'fileno'), hasattr(cls, 'get_fd'))

    def test_default_without_override(self):
        # Simulates a default selector whose class is not in the typelib, so that it has no override.
        program = '''
import ctypes, os, sys
import gi
gi.require_version('Sel', '1.0')
from gi.module import get_introspection_module
from gi.repository import GObject

class TypeQuery(ctypes.Structure):
    _fields_ = [('type', ctypes.c_size_t), ('name', ctypes.c_char_p), ('class_size', ctypes.c_uint),
                ('instance_size', ctypes.c_uint)]

def register_type():
    gobject = ctypes.CDLL(sys.argv[1])
    gobject.g_type_from_name.restype = ctypes.c_size_t
    parent = ctypes.c_size_t(gobject.g_type_from_name(b'SelPollSelector'))
    query = TypeQuery()
    gobject.g_type_query(parent, ctypes.byref(query))
    gobject.g_type_register_static_simple(parent, b'SelSixthSelector', query.class_size, None,
                                          query.instance_size, None, 0)
    return GObject.GType.from_name('SelSixthSelector')

get_introspection_module('Sel').default_selector_type = register_type
from gi.repository import Sel
assert Sel.DefaultSelector.__gtype__.name == 'SelSixthSelector', Sel.DefaultSelector
r, w = os.pipe()
with Sel.DefaultSelector() as selector:
    key = selector.register(w, Sel.EVENT_WRITE, 'data')
    assert selector.select() == [(key, Sel.EVENT_WRITE)]
'''
        subprocess.run([sys.executable, '-c', program, ctypes.util.find_library('gobject-2.0')], check=True)

    def test_documentation(self):
        # Every public name says what it does, also where C code has replaced the method.
        self.assertEqual(Sel.DefaultSelector().select(0), [])
        for cls in [Sel.BaseSelector, *CLASSES, Sel.asyncio.EventLoop, Sel.asyncio.EventLoopPolicy]:
            self.assertTrue(cls.__doc__, cls)
            for name, member in vars(cls).items():
                if callable(member) and not name.startswith('_'):
                    self.assertRegex(member.__doc__ or '', r'^[A-Z].*[.]', name)
                    inspect.signature(member)
        for item in Sel.asyncio.run, Sel.asyncio.select, Sel.EventMask, Sel.SelectorError:
            self.assertTrue(item.__doc__)

    def test_fileno(self):
        for cls in CLASSES:
            if hasattr(cls, 'fileno'):
                r, w = self.pipe()
                with cls() as selector, Sel.PollSelector() as outer:
                    selector.register(r, READ)
                    key = outer.register(selector, READ)
                    self.assertEqual(key.fd, selector.fileno())
                    # poll () answers POLLERR for /dev/poll, which cannot be polled, whatever its set holds.
                    if cls is not Sel.DevpollSelector:
                        self.assertEqual(outer.select(0), [])
                        os.write(w, b'x')
                        self.assertEqual(outer.select(), [(key, READ)])
                self.assertRaises(ValueError, selector.fileno)
        self.assertEqual(hasattr(Sel.EpollSelector, 'fileno'), True)
        self.assertEqual(hasattr(Sel.SelectSelector, 'fileno'), hasattr(selectors.SelectSelector, 'fileno'))


class Keys(TestCase):

    def test_data(self):
        r, unused = self.pipe()
        values = [None, 1 << 100, -1, 2.5, 'text', b'bytes', [], {}, (), object(), len, self, type, Ellipsis,
                  GLib.Variant('s', 'x'), Gio.Cancellable(), math.nan]
        for selector in self.selectors():
            values.append(selector)
            for value in values:
                key = selector.register(r, READ, value)
                self.assertIs(type(key), selectors.SelectorKey)
                self.assertIs(key.data, value)
                self.assertIs(selector.get_key(r), key)
                self.assertIs(selector.get_map()[r], key)
                self.assertIs(selector.modify(r, READ, None).data, None)
                self.assertIs(selector.modify(r, READ | WRITE, value).data, value)
                self.assertIs(selector.unregister(r).data, value)

    def test_modify_keeps_old_key(self):
        r, unused = self.pipe()
        for selector in self.selectors():
            key = selector.register(r, READ, 'old')
            new = selector.modify(r, WRITE, 'new')
            self.assertEqual(key, (r, r, READ, 'old'))
            self.assertEqual(new, (r, r, WRITE, 'new'))
            self.assertIs(selector.modify(r, WRITE, new.data), new)

    def test_select_follows_changes(self):
        # The accelerator uses the pairs of an earlier select() again.
        selector = Sel.DefaultSelector()
        self.addCleanup(selector.close)
        a, b = socket.socketpair()
        with a, b:
            key = selector.register(a, Sel.EVENT_READ | Sel.EVENT_WRITE, 'data')
            self.assertEqual(selector.select(0), [(key, Sel.EVENT_WRITE)])
            b.send(b'x')
            self.assertEqual(selector.select(0), [(key, Sel.EVENT_READ | Sel.EVENT_WRITE)])
            self.assertIs(selector.select(0)[0][0], key)
            key = selector.modify(a, Sel.EVENT_READ | Sel.EVENT_WRITE, 'other data')
            self.assertIs(selector.select(0)[0][0], key)
            key = selector.modify(a, Sel.EVENT_READ, 'other data')
            self.assertEqual(selector.select(0), [(key, Sel.EVENT_READ)])
            selector.unregister(a)
            self.assertEqual(selector.select(0), [])
            key = selector.register(a, Sel.EVENT_WRITE)
            self.assertEqual(selector.select(0), [(key, Sel.EVENT_WRITE)])
            self.assertEqual(list(selector.get_map().values()), [key])

    def test_numbers_that_are_no_descriptors(self):
        selector = Sel.DefaultSelector()
        self.addCleanup(selector.close)
        for number in 2 ** 31 - 1, 2 ** 31, 2 ** 64:
            with self.assertRaises((OSError, ValueError, OverflowError)):
                selector.register(number, Sel.EVENT_READ)
            for method in selector.unregister, selector.get_key, lambda fd: selector.modify(fd, Sel.EVENT_READ):
                with self.assertRaises((KeyError, OverflowError)):
                    method(number)
        self.assertEqual(len(selector.get_map()), 0)

    def test_modify_refused(self):
        for selector in self.selectors():
            r, w = self.pipe()
            selector.register(r, READ)
            os.close(r)
            self.assertOSError(errno.EBADF, selector.modify, r, READ | WRITE)
            self.assertNotIn(r, selector.get_map())
            self.assertEqual(len(selector.get_map()), 0)
            self.assertRaises(KeyError, selector.unregister, r)

    def test_fileobj(self):
        class File:
            def __init__(self, fd):
                self.fileno = lambda: fd

        for selector in self.selectors():
            r, w = self.pipe()
            for fileobj in r, File(r), open(r, 'rb', buffering=0, closefd=False), make_file_object(r):
                key = selector.register(fileobj, READ)
                self.assertIs(key.fileobj, fileobj)
                self.assertEqual(key.fd, r)
                self.assertIs(selector.get_key(fileobj), key)
                self.assertIs(selector.unregister(fileobj), key)
            for wrong in None, 'name', object(), -1, File('x'), GObject.Object(), make_file_object(-1):
                self.assertRaises(ValueError, selector.register, wrong, READ)
                self.assertRaises(ValueError, selector.unregister, wrong)

    def test_gio_objects(self):
        for selector in self.selectors():
            left, right = socket.socketpair()
            with left, right:
                gio_socket = Gio.Socket.new_from_fd(os.dup(left.fileno()))
                connection = Gio.SocketConnection.new_from_socket(gio_socket) if hasattr(
                    Gio.SocketConnection, 'new_from_socket') else gio_socket.connection_factory_create_connection()
                stream = make_unix_stream(os.dup(left.fileno()))
                right.send(b'x')
                for fileobj in gio_socket, connection, stream:
                    key = selector.register(fileobj, READ, fileobj)
                    self.assertIs(key.fileobj, fileobj)
                    self.assertEqual(selector.select(), [(key, READ)])
                    self.assertIs(selector.unregister(fileobj), key)

                # A registered object is found even after it has lost its descriptor.
                key = selector.register(gio_socket, READ)
                gio_socket.close()
                self.assertIs(selector.unregister(gio_socket), key)
                self.assertRaises(ValueError, selector.register, gio_socket, READ)
                stream.close()

    def test_io_channel(self):
        # Objects with the method unix_get_fd () are file objects, too.
        r, w = self.pipe()
        os.write(w, b'x')
        for selector in self.selectors():
            channel = GLib.IOChannel.unix_new(r)
            key = selector.register(channel, READ, 'data')
            self.assertEqual(key, (channel, r, READ, 'data'))
            self.assertIs(selector.get_key(channel), key)
            self.assertIs(selector.get_map()[channel], key)
            self.assertEqual(selector.select(), [(key, READ)])
            self.assertEqual(selector.modify(channel, WRITE).fileobj, channel)
            self.assertEqual(selector.unregister(channel).fd, r)

    def test_from_elsewhere(self):
        # The selector of a main context is shared with code in other languages.
        r, w = self.pipe()
        raw = get_introspection_module('Sel').BaseSelector
        for selector in self.selectors():
            raw.register(selector, r, Sel.EventMask.READ, 'data')
            key = (r, r, READ, 'data')
            self.assertEqual(selector.get_key(r), key)
            self.assertEqual(dict(selector.get_map()), {r: key})
            self.assertRaises(KeyError, selector.register, r, READ)
            os.write(w, b'x')
            self.assertEqual(selector.select(), [(key, READ)])
            os.read(r, 1)
            self.assertEqual(selector.modify(r, WRITE, 7), (r, r, WRITE, 7))
            raw.unregister(selector, r)
            self.assertRaises(KeyError, selector.get_key, w)
            self.assertEqual(selector.register(r, READ), (r, r, READ, None))
            self.assertEqual(selector.unregister(r), (r, r, READ, None))
            raw.register(selector, r, Sel.EventMask.READ, None)
            self.assertEqual(selector.unregister(r), (r, r, READ, None))

    def test_unregistered_during_the_wait(self):
        # A descriptor that another thread unregisters after it was reported is not in the list.
        class Selector(Sel.PollSelector):
            def _find(self, fd):
                return None if fd == r else super()._find(fd)

        r, w = self.pipe()
        os.write(w, b'x')
        with Selector() as selector:
            get_introspection_module('Sel').BaseSelector.register(selector, r, Sel.EventMask.READ, None)
            self.assertEqual(selector.select(0), [])
            key = selector.register(w, WRITE)
            self.assertEqual(selector.select(0), [(key, WRITE)])

    def test_check(self):
        for selector in self.selectors():
            r, w = self.pipe()
            key = selector.register(r, READ, 'data')
            selector.register(w, WRITE)
            self.assertEqual(selector.check(), [])
            os.close(r)
            self.assertEqual(selector.check(), [key])


class File(GObject.Object, Sel.FileObject):

    def do_query_fd(self):
        return self.fd >= 0, self.fd


def make_file_object(fd):
    file = File()
    file.fd = fd
    return file


def make_unix_stream(fd):
    try:
        gi.require_version('GioUnix', '2.0')
        from gi.repository import GioUnix
        return GioUnix.InputStream.new(fd, True)
    except (ImportError, ValueError):
        return Gio.UnixInputStream.new(fd, True)


class Errors(TestCase):

    def test_values(self):
        r, w = self.pipe()
        for selector in self.selectors():
            for events in 0, 4, 7, -1, None, 'r', 1.5, []:
                self.assertRaises(ValueError, selector.register, r, events)
            selector.register(r, READ)
            self.assertRaises(KeyError, selector.register, r, READ)
            self.assertRaises(KeyError, selector.unregister, w)
            self.assertRaises(KeyError, selector.modify, w, READ)
            self.assertRaises(KeyError, selector.get_key, w)
            self.assertRaises(KeyError, selector.get_map().__getitem__, w)
            self.assertRaises(ValueError, selector.modify, r, 8)
            self.assertRaises(ValueError, selector.select, math.nan)
            self.assertRaises(TypeError, selector.select, 'soon')
            self.assertRaises((OverflowError, ValueError), selector.register, 1 << 40, READ)
            self.assertEqual(list(selector.get_map()), [r])

    def test_kernel(self):
        with tempfile.TemporaryFile() as file, Sel.EpollSelector() as selector:
            self.assertRaises(PermissionError, selector.register, file, READ)
            self.assertEqual(len(selector.get_map()), 0)
        for selector in self.selectors():
            r, unused = self.pipe()
            os.close(r)
            self.assertOSError(errno.EBADF, selector.register, r, READ)
            self.assertNotIn(r, selector.get_map())

    def test_closed(self):
        r, unused = self.pipe()
        for selector in self.selectors():
            selector.register(r, READ, selector)
            mapping = selector.get_map()
            selector.close()
            selector.close()
            self.assertRaises(RuntimeError, selector.get_key, r)
            self.assertIsNone(selector.get_map())
            self.assertEqual(len(mapping), 0)
            self.assertEqual(list(mapping), [])
            self.assertRaises(KeyError, mapping.__getitem__, r)
            self.assertRaises(KeyError, selector.unregister, r)
            self.assertRaises(KeyError, selector.modify, r, READ)
            self.assertRaises(ValueError, selector.register, r, READ)
            self.assertRaises(ValueError, selector.select, 0)
            self.assertRaises(ValueError, selector.reinit)
            self.assertEqual(selector.attach(None, 0, print), 0)

    def test_close_drops_keys_first(self):
        # As in the standard library, the finalizer of data sees a selector without keys that is not closed.
        class Owner:
            def __del__(self):
                for function in selector.get_key, selector.unregister, selector.get_map().__getitem__:
                    try:
                        seen.append(function(r))
                    except BaseException as error:
                        seen.append(type(error))
                seen.append(len(selector.get_map()))
                seen.append(selector.is_closed())

        r, unused = self.pipe()
        for selector in self.selectors():
            seen = []
            selector.register(r, READ, Owner())
            selector.close()
            self.assertEqual(seen, [KeyError, KeyError, KeyError, 0, False])
            self.assertTrue(selector.is_closed())
            self.assertRaises(RuntimeError, selector.get_key, r)

    def test_cancelled(self):
        r, unused = self.pipe()
        cancellable = Gio.Cancellable()
        cancellable.cancel()
        for selector in self.selectors():
            with self.assertRaises(GLib.Error) as caught:
                selector.select(None, cancellable)
            self.assertTrue(caught.exception.matches(Gio.io_error_quark(), Gio.IOErrorEnum.CANCELLED))


class Signals(TestCase):
    """PEP 475: handlers run during a wait, which then continues unless a handler raises an exception."""

    def setUp(self):
        self.addCleanup(signal.signal, signal.SIGALRM, signal.signal(signal.SIGALRM, self.handle))
        self.addCleanup(signal.setitimer, signal.ITIMER_REAL, 0)
        self.handled = 0
        self.action = None

    def handle(self, signum, frame):
        self.handled += 1
        if self.action is not None:
            self.action()

    def test_raises(self):
        class Interrupt(Exception):
            pass

        def interrupt():
            raise Interrupt

        self.action = interrupt
        r, unused = self.pipe()
        for selector in self.selectors():
            selector.register(r, READ)
            # On a busy machine the signal may come before select() waits. It comes once.
            with self.assertRaises(Interrupt):
                signal.setitimer(signal.ITIMER_REAL, 0.01)
                selector.select()

    def test_goes_on(self):
        r, w = self.pipe()
        for selector in self.selectors():
            self.handled = 0
            self.action = lambda: self.handled == 3 and os.write(w, b'x')
            key = selector.register(r, READ)
            signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
            self.assertEqual(selector.select(), [(key, READ)])
            signal.setitimer(signal.ITIMER_REAL, 0)
            self.assertGreaterEqual(self.handled, 3)
            os.read(r, 1)

    def test_goes_on_until_its_time(self):
        r, unused = self.pipe()
        for selector in self.selectors():
            selector.register(r, READ)
            begin = GLib.get_monotonic_time()
            signal.setitimer(signal.ITIMER_REAL, 0.005, 0.005)
            self.assertEqual(selector.select(0.05), [])
            signal.setitimer(signal.ITIMER_REAL, 0)
            self.assertGreaterEqual(GLib.get_monotonic_time() - begin, 50000)

    def test_wakeup(self):
        r, unused = self.pipe()
        for selector in self.selectors():
            selector.register(r, READ)
            self.action = selector.wakeup
            signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
            self.assertEqual(selector.select(), [])
            signal.setitimer(signal.ITIMER_REAL, 0)

    def test_wakeup_thread(self):
        r, unused = self.pipe()
        for selector in self.selectors():
            selector.register(r, READ)
            thread = threading.Thread(target=selector.wakeup)
            thread.start()
            self.assertEqual(selector.select(), [])
            thread.join()
            # A wakeup that comes before a wait ends the next wait.
            selector.wakeup()
            self.assertEqual(selector.select(), [])

    def test_keyboard_interrupt(self):
        program = '''
import os, sys
import gi
gi.require_version('Sel', '1.0')
from gi.repository import Sel
with getattr(Sel, sys.argv[1])() as selector:
    r, w = os.pipe()
    selector.register(r, Sel.EVENT_READ)
    print('waiting', flush=True)
    try:
        selector.select()
    except KeyboardInterrupt:
        print('interrupted')
'''
        for cls in CLASSES:
            with self.subTest(cls.__name__):
                process = subprocess.Popen([sys.executable, '-c', program, cls.__name__],
                                           stdout=subprocess.PIPE, text=True)
                with process:
                    self.assertEqual(process.stdout.readline(), 'waiting\n')
                    wait_until_asleep(process.pid)
                    process.send_signal(signal.SIGINT)
                    self.assertEqual(process.stdout.read(), 'interrupted\n')


def wait_until_asleep(pid):
    """Blocks until the process waits in the kernel. An earlier signal would not interrupt a system call."""
    while True:
        with open('/proc/%d/stat' % pid) as file:
            if file.read().rpartition(')')[2].split()[0] == 'S':
                return
        os.sched_yield()


class Callbacks(TestCase):

    def setUp(self):
        self.calls = []
        self.result = True
        r, self.w = self.pipe()
        self.r = r
        os.write(self.w, b'x')

    def called(self, *args):
        self.calls.append(args)
        return self.result

    def test_attach(self):
        for selector in self.selectors():
            self.calls.clear()
            key = selector.register(self.r, READ, self)
            number = selector.attach(None, GLib.PRIORITY_DEFAULT, self.called, 'user', 'data')
            self.assertGreater(number, 0)
            self.run_context(lambda: self.calls)
            self.assertEqual(self.calls[0], (selector, key, READ, 'user', 'data'))
            self.assertIs(self.calls[0][1], key)
            self.assertIs(type(self.calls[0][2]), int)
            GLib.source_remove(number)

    def test_dispatch_source(self):
        for selector in self.selectors():
            self.calls.clear()
            key = selector.register(self.r, READ, self)
            source = selector.create_dispatch_source(self.called)
            source.attach(None)
            self.result = False
            self.run_context(lambda: self.calls)
            self.settle()
            self.assertEqual(self.calls, [(selector, key, READ)])
            self.assertTrue(source.is_destroyed())
            self.assertIn(self.r, selector.get_map())

    def test_register_callback(self):
        for selector in self.selectors():
            self.calls.clear()
            self.result = True
            number = selector.attach()
            key = selector.register_callback(self.r, READ, self.called, 'user', 'data')
            self.assertEqual(key, (self.r, self.r, READ, None))
            self.run_context(lambda: self.calls)
            self.assertEqual(self.calls[0], (selector, key, READ, 'user', 'data'))
            self.assertRaises(KeyError, selector.register_callback, self.r, READ, print)

            # A new mask and new data do not change the callback.
            key = selector.modify(self.r, READ | WRITE, 'data')
            self.calls.clear()
            self.run_context(lambda: self.calls)
            self.assertIs(self.calls[0][1], key)

            self.result = False
            self.calls.clear()
            self.run_context(lambda: self.calls)
            self.settle()
            self.assertEqual(len(self.calls), 1)
            self.assertNotIn(self.r, selector.get_map())
            self.assertRaises(KeyError, selector.unregister, self.r)
            GLib.source_remove(number)

    def test_register_callback_again(self):
        # A callback replaces its own registration and returns. The new registration stays.
        def again(selector, key, events):
            self.calls.append('again')
            selector.unregister(self.r)
            selector.register(self.r, WRITE, 'new')
            return False

        for selector in self.selectors():
            self.calls.clear()
            number = selector.attach(None, 0, self.called)
            selector.register_callback(self.r, READ, again)
            self.run_context(lambda: self.calls)
            self.assertEqual(selector.get_key(self.r), (self.r, self.r, WRITE, 'new'))
            GLib.source_remove(number)

    def test_exception(self):
        def fail(selector, key, events):
            self.calls.append(key)
            raise ValueError('on purpose')

        self.addCleanup(setattr, sys, 'excepthook', sys.excepthook)
        sys.excepthook = lambda *error: self.calls.append(error[0])
        for selector in self.selectors():
            self.calls.clear()
            number = selector.attach()
            key = selector.register_callback(self.r, READ, fail)
            self.run_context(lambda: self.calls)
            self.settle()
            self.assertEqual(self.calls, [key, ValueError])
            self.assertNotIn(self.r, selector.get_map())
            GLib.source_remove(number)

    def test_set_callback(self):
        for selector in self.selectors():
            self.calls.clear()
            self.result = True
            number = selector.attach(None, 0, self.called, 'source')
            key = selector.register(self.r, READ)
            selector.set_callback(self.r, self.called, 'key')
            self.run_context(lambda: self.calls)
            self.assertEqual(self.calls[0], (selector, key, READ, 'key'))
            selector.set_callback(self.r, self.called, 'other')
            self.calls.clear()
            self.run_context(lambda: self.calls)
            self.assertEqual(self.calls[0], (selector, key, READ, 'other'))
            selector.set_callback(self.r, None)
            self.calls.clear()
            self.run_context(lambda: self.calls)
            self.assertEqual(self.calls[0], (selector, key, READ, 'source'))
            self.assertRaises(KeyError, selector.set_callback, self.w, self.called)
            GLib.source_remove(number)

    def test_plain_source(self):
        for selector in self.selectors():
            ready = []
            key = selector.register(self.r, READ)
            source = selector.create_source()
            source.set_callback(lambda *unused: ready.extend(selector.select(0)))
            source.attach(None)
            self.run_context(lambda: ready)
            self.assertEqual(ready, [(key, READ)])

    def test_select_async(self):
        for selector in self.selectors():
            results = []
            key = selector.register(self.r, READ)
            selector.select_async(None, GLib.PRIORITY_DEFAULT, None,
                                  lambda source, result, data: results.append((source.select_finish(result), data)),
                                  'data')
            self.run_context(lambda: results)
            self.assertEqual(results, [([(key, READ)], 'data')])

    def test_main_context(self):
        selector = Sel.main_context_get_selector(None)
        self.assertIs(Sel.main_context_get_selector(None), selector)
        self.assertIsInstance(selector, selectors.BaseSelector)
        key = selector.register_callback(self.r, READ, self.called)
        self.result = False
        self.run_context(lambda: self.calls)
        self.assertEqual(self.calls, [(selector, key, READ)])


class Subclasses(TestCase):

    def test_round(self):
        r, w = self.pipe()
        with PythonSelector() as selector:
            key = selector.register(r, READ, 'data')
            self.assertIn((r, 0, READ), selector.updates)
            selector.ready = [(r, READ | WRITE)]
            self.assertEqual(selector.select(), [(key, READ)])
            key = selector.modify(r, READ | WRITE)
            self.assertEqual(selector.select(), [(key, READ | WRITE)])
            selector.unregister(r)
            self.assertEqual(selector.updates[-2:], [(r, READ, READ | WRITE), (r, READ | WRITE, 0)])
            selector.ready = []
            self.assertEqual(selector.select(0), [])

    def test_exceptions(self):
        r, unused = self.pipe()
        with PythonSelector() as selector:
            selector.register(r, READ)
            for exception in TypeError('x'), KeyboardInterrupt(), ZeroDivisionError(), OSError('no number'):
                selector.exception = exception
                with self.assertRaises(type(exception)) as caught:
                    selector.select(0)
                self.assertIs(caught.exception, exception)
                with self.assertRaises(type(exception)) as caught:
                    selector.modify(r, WRITE)
                self.assertIs(caught.exception, exception)
                # An exception has the effect of a refusal by the kernel.
                self.assertNotIn(r, selector.get_map())
                selector.exception = None
                selector.register(r, READ)
            selector.exception = OSError(errno.EPERM, 'on purpose')
            self.assertOSError(errno.EPERM, selector.select, 0)
            self.assertRaises(PermissionError, selector.register, 0, READ)
            # The exception does not affect descriptor 0.
            self.assertNotIn(0, selector.get_map())
            selector.exception = None
            self.assertEqual(selector.select(0), [])

    def test_missing_methods(self):
        class BareSelector(Sel.BaseSelector):
            pass

        class HalfSelector(Sel.BaseSelector):
            def do_update(self, fd, old_events, new_events):
                return True

        r, unused = self.pipe()
        with BareSelector() as selector:
            with self.assertRaisesRegex(RuntimeError, r'BareSelector does not implement update \(\)'):
                selector.register(r, READ)
        with HalfSelector() as selector:
            selector.register(r, READ)
            with self.assertRaisesRegex(RuntimeError, r'HalfSelector does not implement wait \(\)'):
                selector.select(0)

    def test_nothing_returned(self):
        class Silent(PythonSelector):
            def do_wait(self, timeout):
                pass

        with Silent() as selector:
            self.assertRaises(RuntimeError, selector.select, 0)

    def test_everything_reported(self):
        class Eager(PythonSelector):
            """Reports all descriptors, including the selector's own descriptor, which is not readable."""

            n_waits = 0

            def do_wait(self, timeout):
                self.n_waits += 1
                if self.n_waits == 100:
                    raise AssertionError('waits for ever')
                for fd, unused, events in self.updates:
                    self.report(fd, events)
                return True

        r, unused = self.pipe()
        with Eager() as selector:
            key = selector.register(r, READ)
            self.assertEqual(selector.select(1), [(key, READ)])
            selector.wakeup()
            self.assertEqual(selector.select(1), [(key, READ)])

    def test_open(self):
        class Closed(PythonSelector):
            def do_open(self):
                raise FileNotFoundError(errno.ENOENT, 'no kernel')

        r, unused = self.pipe()
        with Closed() as selector:
            self.assertRaises(FileNotFoundError, selector.register, r, READ)
            self.assertRaises(FileNotFoundError, selector.select)

    def test_of_concrete_class(self):
        class Counting(Sel.DefaultSelector):
            n_waits = 0

            def do_wait(self, timeout):
                self.n_waits += 1
                return Sel.DefaultSelector.do_wait(self, timeout)

        r, w = self.pipe()
        os.write(w, b'x')
        with Counting() as selector:
            key = selector.register(r, READ)
            self.assertEqual(selector.select(), [(key, READ)])
            self.assertEqual(selector.n_waits, 1)
        self.assertIsInstance(selector, selectors.BaseSelector)

    def test_in_main_loop(self):
        r, unused = self.pipe()
        calls = []
        with PythonSelector() as selector:
            selector.register(r, READ)
            selector.ready = [(r, READ)]
            selector.attach(None, 0, lambda *args: calls.append(args))
            os.write(unused, b'x')
            self.run_context(lambda: calls)
            self.assertEqual(calls[0][1:], (selector.get_key(r), READ))


class Data:
    """Data that supports weak references, to detect its finalization."""

    def __call__(self, *args):
        return True


class Memory(TestCase):

    def assertCollected(self, make):
        gc.collect()
        n_fds = len(os.listdir('/proc/self/fd'))
        data = Data()
        ended = weakref.ref(data)
        data.selector = make(data)
        data.map = data.selector.get_map()
        del data
        gc.collect()
        self.assertIsNone(ended())
        self.assertEqual(len(os.listdir('/proc/self/fd')), n_fds)

    def test_cycle_through_data(self):
        r, unused = self.pipe()
        for cls in CLASSES + [PythonSelector]:
            def make(data):
                selector = cls()
                selector.register(r, READ, data)
                return selector
            with self.subTest(cls.__name__):
                self.assertCollected(make)

    def test_cycle_through_callback(self):
        r, w = self.pipe()
        for cls in CLASSES:
            def make(data):
                selector = cls()
                selector.register_callback(r, READ, data, data)
                selector.register(w, WRITE)
                selector.set_callback(w, data)
                return selector
            with self.subTest(cls.__name__):
                self.assertCollected(make)

    def test_source_lets_go(self):
        r, w = self.pipe()
        selector = Sel.DefaultSelector()
        selector.register(r, READ)
        data = Data()
        ended = weakref.ref(data)
        number = selector.attach(None, 0, data)
        del data
        self.assertIsNotNone(ended())
        GLib.source_remove(number)
        self.assertIsNone(ended())
        selector.close()

    def test_failure_lets_go(self):
        r, unused = self.pipe()
        with Sel.DefaultSelector() as selector:
            selector.register(r, READ)
            data = Data()
            ended = weakref.ref(data)
            self.assertRaises(KeyError, selector.register, r, READ, data)
            self.assertRaises(KeyError, selector.register_callback, r, READ, data)
            os.close(r)
            selector.unregister(r)
            self.assertRaises(OSError, selector.register, r, READ, data)
            self.assertRaises(OSError, selector.register_callback, r, READ, data)
            del data
            gc.collect()
            self.assertIsNone(ended())

    def test_table_survives_the_wrapper(self):
        # Only the main loop holds a reference to the selector.
        r, w = self.pipe()
        os.write(w, b'x')
        selector = Sel.DefaultSelector()
        selector.register(r, READ, 'data')
        calls = []
        selector.attach(None, 0, lambda selector, key, events: calls.append(key) or selector.close())
        del selector
        gc.collect()
        self.run_context(lambda: calls)
        self.assertEqual(calls, [(r, r, READ, 'data')])

    def growth(self, turn, n):
        """Returns the bytes of memory that `n` turns take after a warm-up."""
        def resident():
            gc.collect()
            with open('/proc/self/statm') as file:
                return int(file.read().split()[1]) * os.sysconf('SC_PAGE_SIZE')

        for unused in range(n):
            turn()
        before = resident()
        for unused in range(n):
            turn()
        return resident() - before

    def test_nothing_leaks(self):
        pipes = [self.pipe() for unused in range(10)]
        for r, w in pipes:
            os.write(w, b'x')
        context = GLib.MainContext.default()

        for cls in CLASSES:
            with cls() as selector:
                for r, unused in pipes[1:]:
                    selector.register(r, READ, object())
                number = selector.attach(None, 0, lambda *args: True)
                r = pipes[0][0]

                def change():
                    selector.register(r, READ, object())
                    selector.modify(r, WRITE, object())
                    selector.unregister(r)

                def change_callback():
                    selector.register_callback(r, READ, lambda *args: False)
                    context.iteration(True)
                    selector.unregister(r) if r in selector.get_map() else None

                def fail():
                    try:
                        selector.unregister(r)
                    except KeyError:
                        pass

                def wait_async():
                    results = []
                    selector.select_async(0, 0, None, lambda source, result: results.append(
                        source.select_finish(result)))
                    while not results:
                        context.iteration(True)

                # PyGObject keeps 32 bytes for each closure. A larger growth is a leak.
                for turn, n, limit in ((selector.select, 5000, 20), (change, 5000, 20), (fail, 5000, 20),
                                       (lambda: context.iteration(False), 5000, 20),
                                       (change_callback, 2000, 100), (wait_async, 2000, 100),
                                       (lambda: cls().close(), 2000, 50)):
                    with self.subTest(cls.__name__, turn=turn):
                        # Memory grows by groups of pages, so a constant amount is ignored.
                        self.assertLess(self.growth(turn, n), n * limit + 200000)
                GLib.source_remove(number)

    def test_objects_do_not_grow(self):
        r, w = self.pipe()
        os.write(w, b'x')
        with Sel.DefaultSelector() as selector:
            data = Data()

            def turn():
                selector.register(r, READ, data)
                selector.select()
                selector.modify(r, READ | WRITE, data)
                selector.get_key(r)
                list(selector.get_map().values())
                selector.unregister(r)

            for unused in range(100):
                turn()
            gc.collect()
            before = sys.getrefcount(data), len(gc.get_objects())
            for unused in range(1000):
                turn()
            gc.collect()
            self.assertEqual(sys.getrefcount(data), before[0])
            self.assertLess(len(gc.get_objects()), before[1] + 50)


if __name__ == '__main__':
    warnings.simplefilter('error', ResourceWarning)
    tap.main('')
