// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The override for `gi://Sel` and `imports.gi.Sel`. It adds file objects of any kind, any value as data, pairs of key
// and events, and promises to the C API.

/* exported _init */

const {Gio, GLib, GObject} = imports.gi;

// The registrations of a selector are stored in its wrapper, where the garbage collector sees them: a Map from the
// descriptor to {key, callback}. The C library holds only the descriptor, and functions that refer to no other object.
// If C code shares the selector, each side has to unregister its own descriptors. The override notices if C code
// unregisters a descriptor of JavaScript, but not if C code then registers the same number again.
const RECORDS = Symbol('registrations');

class SelectorKey {
    constructor(fileobj, fd, events, data) {
        Object.assign(this, {fileobj, fd, events, data});
        Object.freeze(this);
    }
}

// A live view of the registered keys, by descriptor or file object.
class SelectorMapping {
    #selector;
    #mapping;
    #toFd;

    constructor(selector, mapping, toFd) {
        this.#selector = selector;
        this.#mapping = mapping;
        this.#toFd = toFd;
    }

    get size() {
        return this.#mapping.get_size();
    }

    has(fileobj) {
        return this.get(fileobj) !== undefined;
    }

    get(fileobj) {
        let fd;

        try {
            fd = this.#toFd(this.#selector, fileobj);
        } catch {
            return undefined;
        }

        const key = this.#mapping.lookup(fd);
        return key ? keyOf(this.#selector, key) : undefined;
    }

    *values() {
        for (const key of this.#mapping.get_keys())
            yield keyOf(this.#selector, key);
    }

    *keys() {
        for (const key of this.#mapping.get_keys())
            yield key.get_fd();
    }

    *entries() {
        for (const key of this.values())
            yield [key.fd, key];
    }

    forEach(func, thisArg) {
        for (const [fd, key] of this)
            func.call(thisArg, key, fd, this);
    }

    [Symbol.iterator]() {
        return this.entries();
    }
}

// C code can create selectors, so _init() cannot create the Map.
function recordsOf(selector) {
    return selector[RECORDS] ??= new Map();
}

// A descriptor that C code has registered has no record.
function keyOf(selector, key) {
    const fd = key.get_fd();

    return recordsOf(selector).get(fd)?.key ??
        new SelectorKey(key.get_fileobj() ?? fd, fd, key.get_events(), key.get_data());
}

function checkFunction(func) {
    if (typeof func !== 'function')
        throw new TypeError(`Not a function: ${describe(func)}`);
}

// Returns the C callback of a source.
function wrapFunction(func) {
    if (func === null || func === undefined)
        return null;

    checkFunction(func);
    return (selector, key, events) => func(selector, keyOf(selector, key), events);
}

// The C callback of every descriptor that has its own callback. If it returns false, C unregisters the descriptor.
function callBack(selector, key, events) {
    const fd = key.get_fd();
    const records = recordsOf(selector);
    const callback = records.get(fd)?.callback;
    let goesOn = false;

    try {
        goesOn = Boolean(callback?.func(selector, keyOf(selector, key), events));
    } finally {
        if (!goesOn && callback && records.get(fd)?.callback === callback)
            records.delete(fd);
    }

    return goesOn;
}

function describe(fileobj) {
    try {
        return String(fileobj);
    } catch {
        return typeof fileobj;
    }
}

function _init() {
    const Sel = this;
    const proto = Sel.BaseSelector.prototype;
    const native = {};
    for (const name of ['attach', 'check', 'close', 'create_dispatch_source', 'get_key', 'get_map', 'modify', 'modify_events',
        'refresh', 'register', 'register_callback', 'select_async', 'select_fds', 'select_finish', 'set_callback', 'unregister'])
        native[name] = proto[name];

    function toFd(fileobj) {
        let fd;

        // Check the value here, because the conversion to a C integer converts null and NaN to descriptor 0.
        if (typeof fileobj === 'number')
            fd = fileobj;
        else if (typeof fileobj?.fileno === 'function')
            fd = fileobj.fileno();
        else if (typeof fileobj?.get_fd === 'function')
            fd = fileobj.get_fd();
        else if (fileobj instanceof GObject.Object)
            fd = Sel.fileobj_to_fd(fileobj);

        if (fd !== (fd | 0))
            throw new TypeError(`Neither a descriptor nor a file object: ${describe(fileobj)}`);
        if (fd < 0 && typeof fileobj !== 'number') {
            throw new Sel.SelectorError({
                code: Sel.SelectorError.INVALID_FILE,
                message: `${describe(fileobj)} has no descriptor, or is closed`,
            });
        }

        return fd;
    }

    // Returns the descriptor of a registered file object, also if the file object has been closed.
    function toRegisteredFd(selector, fileobj) {
        try {
            return toFd(fileobj);
        } catch (error) {
            for (const {key} of recordsOf(selector).values()) {
                if (key.fileobj === fileobj)
                    return key.fd;
            }
            throw error;
        }
    }

    function toMask(events) {
        if (events === Sel.EventMask.READ || events === Sel.EventMask.WRITE ||
            events === (Sel.EventMask.READ | Sel.EventMask.WRITE))
            return events;

        throw new Sel.SelectorError({
            code: Sel.SelectorError.INVALID_EVENTS,
            message: `Invalid events: ${describe(events)}`,
        });
    }

    function toTimeout(timeout) {
        return timeout === null || timeout === undefined ? Sel.WAIT_FOREVER : Number(timeout);
    }

    function add(selector, fileobj, events, data, callback) {
        const fd = toFd(fileobj);
        const mask = toMask(events);

        if (callback)
            native.register_callback.call(selector, fd, mask, callBack);
        else
            native.register.call(selector, fd, mask, null);

        const key = new SelectorKey(fileobj, fd, events, data);
        recordsOf(selector).set(fd, {key, callback});
        return key;
    }

    // If the kernel refuses a change, C has unregistered the descriptor.
    function tryChange(selector, fd, change) {
        try {
            change();
        } catch (error) {
            if (!native.get_map.call(selector)?.contains(fd))
                recordsOf(selector).delete(fd);
            throw error;
        }
    }

    function change(selector, fileobj, events, toData) {
        const fd = toRegisteredFd(selector, fileobj);
        const mask = toMask(events);
        const old = keyOf(selector, native.get_key.call(selector, fd));

        tryChange(selector, fd, () => native.modify_events.call(selector, fd, mask));

        const data = toData(old);
        if (events === old.events && data === old.data)
            return old;

        const key = new SelectorKey(old.fileobj, fd, events, data);
        recordsOf(selector).set(fd, {key, callback: recordsOf(selector).get(fd)?.callback});
        return key;
    }

    Sel.WAIT_FOREVER = Infinity;

    // The type is null if no selector can be opened now, for example because there are too many open files. poll() is
    // on every system.
    const defaultType = Sel.default_selector_type();
    Sel.DefaultSelector = (defaultType && Sel[GObject.type_name(defaultType).replace(/^Sel/, '')]) ?? Sel.PollSelector;

    proto.register = function (fileobj, events, data = null) {
        return add(this, fileobj, events, data);
    };

    proto.register_callback = function (fileobj, events, func) {
        checkFunction(func);
        return add(this, fileobj, events, null, {func});
    };

    proto.set_callback = function (fileobj, func = null) {
        const fd = toRegisteredFd(this, fileobj);

        if (func !== null)
            checkFunction(func);

        native.set_callback.call(this, fd, func ? callBack : null);
        recordsOf(this).set(fd, {key: this.get_key(fd), callback: func ? {func} : undefined});
    };

    proto.unregister = function (fileobj) {
        const fd = toRegisteredFd(this, fileobj);
        const key = keyOf(this, native.unregister.call(this, fd));

        recordsOf(this).delete(fd);
        return key;
    };

    proto.modify = function (fileobj, events, data = null) {
        return change(this, fileobj, events, () => data);
    };

    proto.modify_events = function (fileobj, events) {
        return change(this, fileobj, events, old => old.data);
    };

    proto.refresh = function (fileobj) {
        const fd = toRegisteredFd(this, fileobj);

        tryChange(this, fd, () => native.refresh.call(this, fd));
    };

    // Every method accepts file objects, so the methods for objects are the same.
    for (const name of ['register', 'modify', 'unregister', 'get_key'])
        proto[`${name}_object`] = function (...args) { return this[name](...args); };
    proto.register_object_callback = function (...args) { return this.register_callback(...args); };

    proto.get_key = function (fileobj) {
        return keyOf(this, native.get_key.call(this, toRegisteredFd(this, fileobj)));
    };

    proto.get_map = function () {
        const mapping = native.get_map.call(this);

        return mapping && new SelectorMapping(this, mapping, toRegisteredFd);
    };

    proto[Symbol.iterator] = function () {
        return (this.get_map() ?? []).values();
    };

    proto.check = function () {
        return native.check.call(this).map(key => keyOf(this, key));
    };

    proto.select = function (timeout = null, cancellable = null) {
        const [, fds, masks] = native.select_fds.call(this, toTimeout(timeout), cancellable);
        const records = recordsOf(this);

        return fds.map((fd, i) => [records.get(fd)?.key ?? this.get_key(fd), masks[i]]);
    };

    proto.select_finish = function (result) {
        return native.select_finish.call(this, result)
            .map(event => [keyOf(this, event.get_key()), event.get_events()]);
    };

    // Returns a promise, unless there is a callback.
    Gio._promisify(proto, 'select_async', 'select_finish');
    const selectAsync = proto.select_async;
    proto.select_async = function (timeout = null, ioPriority = GLib.PRIORITY_DEFAULT, cancellable = null, ...callback) {
        return selectAsync.call(this, toTimeout(timeout), ioPriority, cancellable, ...callback);
    };

    proto.close = function () {
        native.close.call(this);
        recordsOf(this).clear();
    };

    proto.attach = function (context = null, priority = GLib.PRIORITY_DEFAULT, func = null) {
        return native.attach.call(this, context, priority, wrapFunction(func));
    };

    proto.create_dispatch_source = function (func = null) {
        return native.create_dispatch_source.call(this, wrapFunction(func));
    };

    Sel.SelectorEvent.prototype[Symbol.iterator] = function* () {
        yield this.get_key();
        yield this.get_events();
    };
}
