# SPDX-License-Identifier: LGPL-2.1-or-later
"""Makes Sel a drop-in replacement for Python's `selectors`.

EVENT_READ and EVENT_WRITE are the events (int) of the standard library, WAIT_FOREVER is the timeout without end
(float), DefaultSelector is the class of the best mechanism that the system has, and asyncio is the module that runs
asyncio on the GLib main loop.

The classes of the typelib get the methods of the classes with the same names in the standard library. The keys of a
selector are selectors.SelectorKey tuples. They are stored in a table of the Python object of the selector, so that data
can be any object and the garbage collector sees cycles through it.
"""

import abc
import collections.abc
import errno
import functools
import inspect
import math
import os
import selectors
import sys
import threading
import time

import gi
from gi.module import get_introspection_module
from gi.overrides import override
from gi.repository import GLib, GObject

Sel = get_introspection_module('Sel')


def _load_library_of_wheel():
    """Loads the library that lies beside the typelib, as in a wheel. The dynamic linker does not search there."""
    directory = os.path.dirname(gi.Repository.get_default().get_typelib_path('Sel'))
    library = os.path.join(directory, 'libsel-glib-1.0.so.0')
    if os.path.exists(library):
        import ctypes
        ctypes.CDLL(library)


_load_library_of_wheel()

__all__ = ['EVENT_READ', 'EVENT_WRITE', 'WAIT_FOREVER']

EVENT_READ = selectors.EVENT_READ
EVENT_WRITE = selectors.EVENT_WRITE
WAIT_FOREVER = math.inf

# A child process that another thread has forked has another main thread.
first_main_thread = threading.main_thread()

_MAX_FD = GLib.MAXINT

_MASKS = {mask: Sel.EventMask(mask) for mask in range(1, (EVENT_READ | EVENT_WRITE) + 1)}

# PyGObject has no documentation of the types of a typelib, and lets it be set for enumerations only. The others are not
# loaded when this module is imported.
Sel.EventMask.__doc__ = 'The events of a descriptor: READ and WRITE. Their numbers are those of EVENT_READ and EVENT_WRITE.'
Sel.SelectorError.__doc__ = ('The codes of errors. The methods of the selectors raise exceptions of Python in their '
                             'place; see BaseSelector.')

_OS_ERROR = GLib.quark_to_string(Sel.os_error_domain())
_SELECTOR_ERROR = GLib.quark_to_string(Sel.selector_error_quark())
_EXCEPTIONS = {
    Sel.SelectorError.FAILED: RuntimeError,
    Sel.SelectorError.NOT_REGISTERED: KeyError,
    Sel.SelectorError.ALREADY_REGISTERED: KeyError,
    Sel.SelectorError.INVALID_FILE: ValueError,
    Sel.SelectorError.INVALID_EVENTS: ValueError,
    Sel.SelectorError.INVALID_TIMEOUT: ValueError,
    Sel.SelectorError.CLOSED: ValueError,
    Sel.SelectorError.NOT_SUPPORTED: functools.partial(OSError, errno.ENOSYS),
    Sel.SelectorError.BUSY: RuntimeError,
    Sel.SelectorError.FORKED: RuntimeError,
}


def _is_error(error, *codes):
    return error.domain == _SELECTOR_ERROR and error.code in codes


def _to_mask(events):
    try:
        return _MASKS[events]
    except (KeyError, TypeError):
        raise ValueError('Invalid events: {!r}'.format(events)) from None


def _to_fd(fileobj):
    if isinstance(fileobj, int):
        fd = fileobj
    else:
        try:
            if hasattr(fileobj, 'fileno'):
                fd = int(fileobj.fileno())
            elif isinstance(fileobj, GObject.Object):
                fd = Sel.fileobj_to_fd(fileobj)
            else:
                # For example a GLib.IOChannel.
                fd = int(fileobj.unix_get_fd())
        except (AttributeError, TypeError, ValueError, GLib.Error):
            raise ValueError('Invalid file object: {!r}'.format(fileobj)) from None
    if fd < 0:
        raise ValueError('Invalid file descriptor: {}'.format(fd))
    return fd


def _check_callable(func):
    """Raises TypeError if a main loop cannot use the result of a function. A coroutine would count as true."""
    if not callable(func):
        raise TypeError('Not callable: {!r}'.format(func))
    if inspect.iscoroutinefunction(func) or inspect.isgeneratorfunction(func) or inspect.isasyncgenfunction(func):
        raise TypeError('A callback must not be async or a generator: {!r}'.format(func))


def _to_bool(result, func):
    """Returns the result of a callback as a boolean."""
    if hasattr(result, '__await__'):
        if hasattr(result, 'close'):
            result.close()
        raise TypeError('A callback must not return an awaitable: {!r}'.format(func))
    return bool(result)


def _is_at_exit():
    """True if the interpreter is ending. PyGObject cannot call any function then, and raises ImportError."""
    return sys.meta_path is None


def _not_registered(fileobj):
    return KeyError('{!r} is not registered'.format(fileobj))


def _to_python_key(key):
    """Returns the tuple for a key that was not registered from Python."""
    fd = key.get_fd()
    fileobj = key.get_fileobj()
    return selectors.SelectorKey(fd if fileobj is None else fileobj, fd, int(key.get_events()), key.get_data())


def _call_key_callback(selector, c_key, events):
    """The C callback of every descriptor that has a callback of its own.

    All descriptors share this function, because the garbage collector does not see objects that the library holds.
    """
    fd = c_key.get_fd()
    callback = selector._callbacks.get(fd)
    if callback is None:
        return False
    func, user_data = callback
    goes_on = False
    try:
        goes_on = _to_bool(func(selector, selector._get(c_key), int(events), *user_data), func)
    finally:
        if not goes_on and selector._callbacks.get(fd) is callback:
            selector._forget(fd)
    return goes_on


def _guard(vfunc):
    """Converts an exception of a virtual function to a GLib.Error, so that the library sees the failure."""
    @functools.wraps(vfunc)
    def guarded(self, *args):
        try:
            return vfunc(self, *args)
        except GLib.Error:
            raise
        except OSError as error:
            if error.errno is None:
                self.__dict__['_exception'] = error
                raise GLib.Error(repr(error), _SELECTOR_ERROR, Sel.SelectorError.FAILED) from error
            raise GLib.Error(str(error), _OS_ERROR, error.errno) from error
        except BaseException as error:
            self.__dict__['_exception'] = error
            raise GLib.Error(repr(error), _SELECTOR_ERROR, Sel.SelectorError.FAILED) from error
    return guarded


class _Mapping(collections.abc.Mapping):
    """The keys of a selector by file object or descriptor. Iteration gives the descriptors. It has no keys after the
    selector was closed."""

    def __init__(self, selector):
        self._selector = selector

    def __len__(self):
        mapping = self._selector._get_c_map()
        return 0 if mapping is None else mapping.get_size()

    def __iter__(self):
        mapping = self._selector._get_c_map()
        return iter([] if mapping is None else [key.get_fd() for key in mapping.get_keys()])

    def __getitem__(self, fileobj):
        key = self._selector._find(self._selector._lookup_registered(fileobj))
        if key is None:
            raise _not_registered(fileobj)
        return key


class BaseSelector(Sel.BaseSelector):
    """Waits until registered file objects are ready. It has the methods of selectors.BaseSelector, and more.

    A file object is a file descriptor (int), an object with fileno(), a GObject for which Sel.fileobj_to_fd() finds a
    descriptor, such as a Gio.Socket, or an object with unix_get_fd(), such as a GLib.IOChannel. `events` is
    Sel.EVENT_READ, Sel.EVENT_WRITE, or both. Keys are selectors.SelectorKey tuples.

    Errors are the exceptions of the standard library: ValueError for invalid arguments and, where not said otherwise,
    for a closed selector; KeyError for a file object that is not registered or is registered already; OSError if the
    system refuses something; RuntimeError if another thread waits, or after a fork. A cancelled wait raises GLib.Error
    (Gio.IOErrorEnum.CANCELLED).

    A subclass in Python implements do_update(fd, old_events, new_events) and do_wait(timeout), and perhaps do_open()
    and do_release(forked). do_wait() calls report(). The method of the selector that called them raises their
    exceptions."""

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        for name in 'do_open', 'do_update', 'do_wait':
            if name in cls.__dict__:
                setattr(cls, name, _guard(cls.__dict__[name]))

    # C code can create selectors too, so __init__() may not have run. From Python 3.12 on, cached_property has no lock,
    # so that several threads may be here; all of them use the table that one has set.
    @functools.cached_property
    def _keys(self):
        accelerator = load_accelerator()
        return self.__dict__.setdefault('_keys', {} if accelerator is None else accelerator.Keys())

    @functools.cached_property
    def _callbacks(self):
        return self.__dict__.setdefault('_callbacks', {})

    def _to_exception(self, error):
        if error.domain == _OS_ERROR:
            return OSError(error.code, os.strerror(error.code))
        if error.domain == _SELECTOR_ERROR and error.code in _EXCEPTIONS:
            exception = self.__dict__.pop('_exception', None)
            if error.code == Sel.SelectorError.FAILED and exception is not None and error.message == repr(exception):
                return exception
            return _EXCEPTIONS[error.code](error.message)
        return error

    def _call(self, function, *args):
        try:
            return function(self, *args)
        except GLib.Error as error:
            raise self._to_exception(error) from None

    def _lookup(self, fileobj):
        try:
            return _to_fd(fileobj)
        except ValueError:
            # The file object may have been closed after it was registered.
            for key in list(self._keys.values()):
                if key.fileobj is fileobj:
                    return key.fd
            raise

    def _lookup_registered(self, fileobj):
        """Returns a descriptor that can be registered, or raises KeyError: the library knows no larger numbers."""
        fd = self._lookup(fileobj)
        if fd > _MAX_FD:
            raise _not_registered(fileobj)
        return fd

    def _get_c_map(self):
        """Returns the mapping of the library, or None if the selector has no keys any more."""
        try:
            return None if '_is_closing' in self.__dict__ else _get_c_map(self)
        except ImportError:
            if not _is_at_exit():
                raise
            return None

    def _find(self, fd):
        """Returns the key of a descriptor, or None."""
        key = self._keys.get(fd)
        if key is None:
            mapping = self._get_c_map()
            if mapping is not None:
                key = mapping.lookup(fd)
                if key is not None:
                    key = _to_python_key(key)
        return key

    def _is_registered(self, fd):
        mapping = self._get_c_map()
        return mapping is not None and mapping.contains(fd)

    def _get(self, key):
        """Returns the tuple for a key of the library."""
        return self._keys.get(key.get_fd()) or _to_python_key(key)

    def _forget(self, fd):
        self._callbacks.pop(fd, None)
        return self._keys.pop(fd, None)

    def _register(self, key, function, *args, callback=None):
        # Change the table first: a wait in another thread may report the descriptor before this function returns.
        if self._keys.setdefault(key.fd, key) is not key:
            if self._is_registered(key.fd):
                raise KeyError('{!r} (FD {}) is already registered'.format(key.fileobj, key.fd))
            self._keys[key.fd] = key
        if callback is not None:
            self._callbacks[key.fd] = callback
        try:
            function(self, key.fd, _MASKS[key.events], *args)
        except GLib.Error as error:
            self._forget(key.fd)
            raise self._to_exception(error) from None
        except BaseException:
            self._forget(key.fd)
            raise
        return key

    def _change(self, function, fd, *args):
        try:
            return function(self, fd, *args)
        except GLib.Error as error:
            self._forget_if_unregistered(fd)
            raise self._to_exception(error) from None

    def _forget_if_unregistered(self, fd):
        # If the kernel refused the change, the library has unregistered the descriptor.
        if not self._is_registered(fd):
            self._forget(fd)

    def register(self, fileobj, events, data=None):
        """Registers a file object. Returns its key (selectors.SelectorKey).

        data can be any object; it is key.data. Raises ValueError for invalid events or an invalid file object, KeyError
        if the descriptor is registered already, and OSError, for example PermissionError if epoll cannot wait for a
        regular file. Nothing is changed then."""
        mask = _to_mask(events)
        return self._register(selectors.SelectorKey(fileobj, self._lookup(fileobj), int(mask), data),
                              Sel.BaseSelector.register, None)

    def unregister(self, fileobj):
        """Unregisters a file object, which may be closed already. Returns its last key.

        Raises KeyError if it is not registered, also after close()."""
        fd = self._lookup_registered(fileobj)
        key = self._forget(fd)
        if key is None and '_is_closing' in self.__dict__:
            raise _not_registered(fileobj)
        try:
            c_key = _unregister(self, fd)
        except GLib.Error as error:
            if _is_error(error, Sel.SelectorError.NOT_REGISTERED, Sel.SelectorError.CLOSED):
                raise _not_registered(fileobj) from None
            raise self._to_exception(error) from None
        except ImportError:
            if not _is_at_exit():
                raise
        return key or _to_python_key(c_key)

    def modify(self, fileobj, events, data=None):
        """Changes the events or the data of a registered file object. Returns its new key.

        Raises KeyError if it is not registered. If the system refuses the change, the file object is unregistered, and
        OSError is raised."""
        mask = _to_mask(events)
        fd = self._lookup_registered(fileobj)
        key = self._find(fd)
        if key is None:
            raise _not_registered(fileobj)
        if mask != key.events:
            self._change(Sel.BaseSelector.modify_events, fd, mask)
        elif data is key.data:
            return key
        self._keys[fd] = key = key._replace(events=int(mask), data=data)
        return key

    def refresh(self, fileobj):
        """Tells the system about a registered descriptor again, for example after its file was exchanged by dup2().

        Returns True. Raises KeyError if it is not registered, and OSError, after which it is unregistered."""
        return self._change(Sel.BaseSelector.refresh, self._lookup_registered(fileobj))

    def get_key(self, fileobj):
        """Returns the key of a registered file object.

        Raises KeyError if it is not registered, and RuntimeError if the selector is closed."""
        if self.is_closed():
            raise RuntimeError('Selector is closed')
        key = self._find(self._lookup_registered(fileobj))
        if key is None:
            raise _not_registered(fileobj)
        return key

    def get_map(self):
        """Returns a mapping of file objects to keys, or None if the selector is closed.

        The mapping changes with the selector."""
        return None if self.is_closed() else _Mapping(self)

    # Every method accepts file objects, so the methods for objects are the same.
    register_object = register
    unregister_object = unregister
    modify_object = modify
    get_key_object = get_key

    def select(self, timeout=None, cancellable=None):
        """Waits until a file object is ready. Returns a list of (key, events), one for each that is ready.

        timeout is in seconds (int or float): None waits without end, and 0 or less does not wait. cancellable is a
        Gio.Cancellable, or None. The list is empty if the time is over or wakeup() was called. A signal handler runs
        during the wait, which then continues, unless the handler raises an exception.

        Raises ValueError for a timeout that is not a number, or if the selector is closed, RuntimeError if another
        thread waits, GLib.Error if cancelled, and OSError."""
        if timeout is None:
            timeout = end = WAIT_FOREVER
        elif timeout > 0:
            end = time.monotonic() + timeout
        while True:
            try:
                unused, fds, masks = _select_fds(self, timeout, cancellable)
            except GLib.Error as error:
                raise self._to_exception(error) from None
            if fds or timeout <= 0:
                break
            # The wait ended early without an event. Either wakeup() was called, or a signal handler has run without
            # raising an exception.
            if self.__dict__.pop('_woken', False):
                break
            timeout = max(end - time.monotonic(), 0)
        try:
            return list(zip(map(self._keys.__getitem__, fds), masks))
        except KeyError:
            # C code registered a descriptor, or another thread has unregistered one.
            keys = map(self._find, fds)
            return [(key, mask) for key, mask in zip(keys, masks) if key is not None]

    def wakeup(self):
        """Ends the wait that is in progress, or else the next one. Other threads and signal handlers may call it."""
        self.__dict__['_woken'] = True
        Sel.BaseSelector.wakeup(self)

    def check(self):
        """Returns the keys of registered descriptors that are closed, or belong to another file by now."""
        return [self._get(key) for key in self._call(Sel.BaseSelector.check)]

    def reinit(self):
        """Opens the kernel's object again and registers everything again, for example in the child after a fork.

        Returns True. Raises ValueError if the selector is closed, and OSError."""
        return self._call(Sel.BaseSelector.reinit)

    def is_closed(self):
        """Returns True if close() was called."""
        try:
            return _is_closed(self)
        except ImportError:
            if not _is_at_exit():
                raise
            # A finalizer that close() has called may ask.
            return False

    def close(self):
        """Closes the selector and drops all keys. The file objects stay open. May be called again."""
        # The keys go first, as in the standard library: a finalizer of data may use the selector, which has no keys
        # then, but is not closed. For example, the transports of asyncio do so.
        self.__dict__['_is_closing'] = True
        self._keys.clear()
        self._callbacks.clear()
        try:
            _close(self)
        except ImportError:
            if not _is_at_exit():
                raise

    def report(self, fd, events):
        """Reports a ready descriptor (int). Only do_wait() of a subclass may call it.

        Other events than the registered ones are dropped."""
        Sel.BaseSelector.report(self, fd, Sel.EventMask(events))

    def _wrap(self, func):
        if func is None:
            return None
        _check_callable(func)

        def call(selector, key, events, *user_data):
            return _to_bool(func(selector, selector._get(key), int(events), *user_data), func)
        return call

    def attach(self, context=None, priority=GLib.PRIORITY_DEFAULT, func=None, *user_data):
        """Adds the selector to a GLib.MainContext (None: the default one). Returns the ID of the source.

        The ID is an int, and 0 if the selector is closed. func(selector, key, events, *user_data) is called for each
        ready file object that has no callback. If it returns a false value, the source is removed. GLib.source_remove()
        removes the source, too."""
        return Sel.BaseSelector.attach(self, context, priority, self._wrap(func), *user_data)

    def create_dispatch_source(self, func=None, *user_data):
        """Returns a GLib.Source that calls func as attach() does. It has to be attached to a context."""
        return Sel.BaseSelector.create_dispatch_source(self, self._wrap(func), *user_data)

    def register_callback(self, fileobj, events, func, *user_data):
        """Registers a file object with a function that a main loop calls when it is ready. Returns the key.

        The selector has to be attached to the context of the main loop. The arguments of the function are (selector,
        key, events, *user_data). If the result is false, or the function raises an exception, the file object is
        unregistered. Raises what register() raises, and TypeError if it is not a function, or is async."""
        _check_callable(func)
        mask = _to_mask(events)
        fd = self._lookup(fileobj)
        key = selectors.SelectorKey(fileobj, fd, int(mask), None)
        return self._register(key, Sel.BaseSelector.register_callback, _call_key_callback,
                              callback=(func, user_data))

    register_object_callback = register_callback

    def set_callback(self, fileobj, func, *user_data):
        """Sets the function of a registered file object, as register_callback() does.

        With None, the function of the source is called. Raises KeyError if it is not registered, and TypeError if func
        is not a function, or is async."""
        if func is not None:
            _check_callable(func)
        fd = self._lookup_registered(fileobj)
        self._call(Sel.BaseSelector.set_callback, fd, None if func is None else _call_key_callback)
        if func is None:
            self._callbacks.pop(fd, None)
        else:
            self._callbacks[fd] = func, user_data

    def select_async(self, timeout=None, io_priority=GLib.PRIORITY_DEFAULT, cancellable=None, callback=None,
                     *user_data):
        """Waits without blocking, in a main loop. Without a callback it returns an awaitable.

        The awaitable is for an asyncio loop that runs on a GLib main loop, and raises RuntimeError in another one. Its
        result is the list that select() returns. timeout is in seconds; None waits without end. io_priority is the
        priority in the main context. cancellable is a Gio.Cancellable, or None. callback(selector, result, *user_data)
        calls select_finish(). One wait at a time."""
        if timeout is None:
            timeout = WAIT_FOREVER
        if callback is not None:
            return Sel.BaseSelector.select_async(self, timeout, io_priority, cancellable, callback, *user_data)
        from . import sel_asyncio
        return sel_asyncio.select(self, timeout, io_priority, cancellable)

    def select_finish(self, result):
        """Returns the list of a wait that select_async() has started, for its callback. result is a Gio.AsyncResult.

        Raises what select() raises, and GLib.Error (Gio.IOErrorEnum.INVALID_ARGUMENT) for a result of something else, and
        for one that was used already."""
        return [(self._get(event.get_key()), int(event.get_events()))
                for event in self._call(Sel.BaseSelector.select_finish, result)]

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()


# The methods of the typelib whose names the override takes.
_select_fds = Sel.BaseSelector.select_fds
_get_c_map = Sel.BaseSelector.get_map
_is_closed = Sel.BaseSelector.is_closed
_unregister = Sel.BaseSelector.unregister
_close = Sel.BaseSelector.close
BaseSelector = override(BaseSelector)
__all__.append('BaseSelector')

# selectors.BaseSelector.register() registers a file object, so call the method of the metaclass.
abc.ABCMeta.register(selectors.BaseSelector, BaseSelector)


@functools.lru_cache(None)
def load_accelerator():
    """Makes the methods that are called often faster, if the extension module in C is installed.

    Returns the module, or None. The environment variable SEL_ACCELERATOR can be `no`, so that everything runs in
    Python, or `yes`, so that a module that is missing or does not work is an error. The module is loaded at the first
    use of a selector."""
    choice = os.environ.get('SEL_ACCELERATOR')
    if choice == 'no':
        return None
    try:
        from gi.overrides import sel_accelerator
    except ImportError:
        if choice == 'yes':
            raise
        return None
    sel_accelerator.accelerate_selector(BaseSelector, selectors.SelectorKey)
    return sel_accelerator


class _Concrete:
    """The base class of the selectors over a mechanism of the kernel."""

    def __init__(self, **properties):
        super().__init__(**properties)
        # Open the selector now, so that the constructor raises the error. The library would open it at the first use.
        self.reinit()


def _override_concrete(name):
    """Overrides the class of a mechanism; it has fileno() if the mechanism has a descriptor."""
    c_class = getattr(Sel, name)
    members = {'__module__': __name__,
               '__doc__': 'A selector over a mechanism of the kernel: {}. See BaseSelector.\n\n'
                          'The constructor raises OSError if the system does not have it, or refuses it; see '
                          'is_supported(). Keyword arguments set properties.'.format(name[:-len('Selector')].lower())}
    if hasattr(c_class, 'get_fd'):
        def fileno(self):
            """Returns the descriptor of the mechanism (int), which is readable if a registered file object is ready.

            Raises ValueError if the selector is closed."""
            return self._call(c_class.get_fd)
        members['fileno'] = fileno
    return override(type(c_class)(name, (_Concrete, c_class), members))


# The names come from the typelib, so that a class that is added to the library needs no change here.
_concrete = {name: _override_concrete(name)
             for name in dir(Sel) if name.endswith('Selector') and name != 'BaseSelector'}
globals().update(_concrete)
__all__ += _concrete


def _find_default():
    gtype = Sel.default_selector_type()
    if gtype == GObject.TYPE_INVALID:
        # No selector can be opened now, for example because there are too many open files. poll() is on every system.
        return _concrete['PollSelector']
    # If the typelib lacks the type, PyGObject derives a class from that of the parent type when it wraps an object.
    return gtype.pytype or type(GObject.new(gtype))


DefaultSelector = _find_default()
__all__.append('DefaultSelector')


def __getattr__(name):
    """Imports the module asyncio at its first use, because most programs do not need it, and that takes as long as
    everything else. PyGObject copies this function to gi.repository.Sel. Threads that need the module at once wait for
    the lock of the import."""
    if name != 'asyncio':
        raise AttributeError('module {!r} has no attribute {!r}'.format(__name__, name))
    from . import sel_asyncio
    for namespace in __name__, 'gi.repository.Sel':
        setattr(sys.modules[namespace], name, sel_asyncio)
    return sel_asyncio


__all__.append('__getattr__')
