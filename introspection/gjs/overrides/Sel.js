// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The override for `gi://Sel` and `imports.gi.Sel`. It adds file objects of any kind, any value as data, pairs of key
// and events, promises and asynchronous iteration to the C API. Its keys, pairs and mappings also have the methods of
// the classes in the GIR. `Sel.d.ts` contains the types; a test compares the two.

/* exported _init */

const {Gio, GLib, GObject} = imports.gi;

// The registrations of a selector are stored in its wrapper, where the garbage collector sees them: a Map from the
// descriptor to {key, callback}. The C library holds only the descriptor, and functions that refer to no other object.
// If C code shares the selector, each side has to unregister its own descriptors. The override notices if C code
// unregisters a descriptor of JavaScript, but not if C code then registers the same number again.
const RECORDS = Symbol('registrations');
const MAPPING = Symbol('mapping');
const MECHANISMS = ['SelectSelector', 'PollSelector', 'EpollSelector', 'DevpollSelector', 'KqueueSelector'];
const IS_SPENT = Symbol('result was used');

class SelectorKey {
    constructor(fileobj, fd, events, data) {
        Object.assign(this, {fileobj, fd, events, data});
        Object.freeze(this);
    }

    get_fileobj() {
        return this.fileobj;
    }

    get_fd() {
        return this.fd;
    }

    get_events() {
        return this.events;
    }

    get_data() {
        return this.data;
    }
}

// The pair [key, events].
class SelectorEvent extends Array {
    // This is faster than super(key, events).
    constructor(key, events) {
        super(2);
        this[0] = key;
        this[1] = events;
    }

    // The results of map() and the other methods of Array are ordinary arrays.
    static get [Symbol.species]() {
        return Array;
    }

    get_key() {
        return this[0];
    }

    get_events() {
        return this[1];
    }
}

// A live view of the registered keys, by descriptor or file object. It has the methods of a Map that do not change it,
// and those of the class in the GIR.
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

    get_size() {
        return this.size;
    }

    contains(fileobj) {
        return this.has(fileobj);
    }

    lookup(fileobj) {
        return this.get(fileobj) ?? null;
    }

    lookup_object(fileobj) {
        return this.lookup(fileobj);
    }

    get_keys() {
        return [...this.values()];
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

// Returns the name of the class of functions to which a function belongs, also if it comes from another global object.
function kindOf(func) {
    return Object.prototype.toString.call(func).slice('[object '.length, -1);
}

function notAsync(func) {
    return new TypeError(`A callback must not be async or a generator: ${describe(func)}. It has to return a ` +
        'boolean, and can call an async function');
}

function checkFunction(func) {
    if (typeof func !== 'function')
        throw new TypeError(`Not a function: ${describe(func)}`);
    if (kindOf(func) !== 'Function')
        throw notAsync(func);
}

// Calls a callback, and returns its result as a boolean. An ordinary function may still return a promise.
function callFunction(func, ...args) {
    const result = func(...args);

    if (typeof result?.then !== 'function')
        return Boolean(result);

    logError(notAsync(func));
    return false;
}

// Checks an optional argument. Without this check, a value in the wrong place is converted to another value, or refused
// with an error that does not name the argument.
function checkArgument(signature, name, value, isValid) {
    if (value !== null && value !== undefined && !isValid(value))
        throw new TypeError(`${signature}: ${name} cannot be ${describe(value)}`);
}

const isCancellable = value => value instanceof Gio.Cancellable;

function checkCancellable(signature, cancellable) {
    checkArgument(signature, 'cancellable', cancellable, isCancellable);
}

function checkPriority(signature, name, priority) {
    checkArgument(signature, name, priority, value => typeof value === 'number');
}

// The property `fd` of a selector. GJS 1.90 reads a property by the function that the GIR names as its getter, and calls
// that without a place for its error.
function getFd() {
    try {
        return this.get_fd();
    } catch {
        return -1;
    }
}

// Returns the C callback of a source.
function wrapFunction(func) {
    if (func === null || func === undefined)
        return null;

    checkFunction(func);
    return (selector, key, events) => callFunction(func, selector, keyOf(selector, key), events);
}

// The C callback of every descriptor that has its own callback. If it returns false, C unregisters the descriptor.
function callBack(selector, key, events) {
    const fd = key.get_fd();
    const records = recordsOf(selector);
    const callback = records.get(fd)?.callback;
    let goesOn = false;

    try {
        goesOn = callback !== undefined && callFunction(callback.func, selector, keyOf(selector, key), events);
    } finally {
        if (!goesOn && callback && records.get(fd)?.callback === callback)
            records.delete(fd);
    }

    return goesOn;
}

function describe(value) {
    try {
        return typeof value === 'function' ? `the function ${value.name}`.trim() : String(value);
    } catch {
        return typeof value;
    }
}

// Makes `value instanceof NativeClass` true also for objects of the class that the override uses instead.
function acceptInstances(NativeClass, OwnClass) {
    const hasInstance = NativeClass[Symbol.hasInstance];

    Object.defineProperty(NativeClass, Symbol.hasInstance, {
        value(object) {
            return object instanceof OwnClass || hasInstance.call(this, object);
        },
    });
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
        else if (typeof fileobj?.unix_get_fd === 'function')
            fd = fileobj.unix_get_fd();
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

    function toTimeout(signature, timeout) {
        // Most calls end here, so no function is made for the check.
        if (typeof timeout === 'number')
            return timeout;

        checkArgument(signature, 'timeout', timeout, value => !['object', 'function', 'symbol'].includes(typeof value));
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

        return mapping && (this[MAPPING] ??= new SelectorMapping(this, mapping, toRegisteredFd));
    };

    // The property is the same object as the result of the method.
    Object.defineProperty(proto, 'map', {
        get() {
            return this.get_map();
        },
    });

    proto[Symbol.iterator] = function () {
        return (this.get_map() ?? []).values();
    };

    proto.check = function () {
        return native.check.call(this).map(key => keyOf(this, key));
    };

    proto.select = function (timeout = null, cancellable = null) {
        const signature = 'select (timeout, cancellable)';
        const seconds = toTimeout(signature, timeout);

        checkCancellable(signature, cancellable);
        const [, fds, masks] = native.select_fds.call(this, seconds, cancellable);
        const records = recordsOf(this);

        return fds.map((fd, i) => new SelectorEvent(records.get(fd)?.key ?? this.get_key(fd), masks[i]));
    };

    proto.select_finish = function (result) {
        if (!(result instanceof Gio.Task) || !Gio.Task.is_valid(result, this))
            throw new TypeError(`select_finish (result): not a result of select_async (): ${describe(result)}`);
        if (result[IS_SPENT])
            throw new TypeError('select_finish (result): the result was already used');

        result[IS_SPENT] = true;
        return native.select_finish.call(this, result)
            .map(event => new SelectorEvent(keyOf(this, event.get_key()), event.get_events()));
    };

    // Returns a promise, unless there is a callback.
    Gio._promisify(proto, 'select_async', 'select_finish');
    const selectAsync = proto.select_async;
    proto.select_async = function (timeout = null, priority = GLib.PRIORITY_DEFAULT, cancellable = null, ...callback) {
        const signature = 'select_async (timeout, io_priority, cancellable, callback)';
        const seconds = toTimeout(signature, timeout);

        checkPriority(signature, 'io_priority', priority);
        checkCancellable(signature, cancellable);
        checkArgument(signature, 'callback', callback[0], value => typeof value === 'function');
        return selectAsync.call(this, seconds, priority, cancellable, ...callback);
    };

    // Each turn of `for await` gets the pairs of one wait. close() ends the loop; after wakeup() a turn gets no pairs.
    proto[Symbol.asyncIterator] = async function* () {
        while (!this.is_closed()) {
            let events;

            try {
                events = await this.select_async();
            } catch (error) {
                if (this.is_closed())
                    return;
                throw error;
            }
            yield events;
        }
    };

    proto.close = function () {
        native.close.call(this);
        recordsOf(this).clear();
    };

    proto.attach = function (context = null, priority = GLib.PRIORITY_DEFAULT, func = null) {
        const signature = 'attach (context, priority, func)';

        checkArgument(signature, 'context', context, value => value instanceof GLib.MainContext);
        checkPriority(signature, 'priority', priority);
        return native.attach.call(this, context, priority, wrapFunction(func));
    };

    proto.create_dispatch_source = function (func = null) {
        return native.create_dispatch_source.call(this, wrapFunction(func));
    };

    acceptInstances(Sel.SelectorKey, SelectorKey);
    acceptInstances(Sel.SelectorMapping, SelectorMapping);
    acceptInstances(Sel.SelectorEvent, SelectorEvent);

    // If the system lacks the mechanism, make `new Sel.KqueueSelector()` fail like `Sel.KqueueSelector.new()`. Otherwise
    // the first use of the selector would fail.
    for (const name of MECHANISMS) {
        const Class = Sel[name];
        const init = Class.prototype._init;

        Class.prototype._init = function (...args) {
            if (!Class.is_supported())
                Class.new();
            return init.apply(this, args);
        };

        if (Class.prototype.get_fd)
            Object.defineProperty(Class.prototype, 'fd', {configurable: true, enumerable: true, get: getFd});
    }
}
