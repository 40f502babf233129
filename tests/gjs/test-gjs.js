// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The override, and selectors in JavaScript. Prints TAP.

import Gio from 'gi://Gio';
import GLib from 'gi://GLib';
import GObject from 'gi://GObject';
import Sel from 'gi://Sel?version=1.0';

import {assert, assertEqual, assertThrows, collect, countOpenFiles, iterate, run, socketPair, test,
    withSockets} from './harness.js';

const {READ, WRITE} = Sel.EventMask;
const EBADF = 9;
const CLOSED_FD = 54321;

const hasCode = code => error => error instanceof Sel.SelectorError && error.code === code && error.message.length > 5;
const hasErrno = errno => error => error instanceof GLib.Error && error.matches(Sel.os_error_domain(), errno);
const isTypeError = error => error instanceof TypeError;

// A backend in JavaScript, which waits with another selector.
const JSSelector = GObject.registerClass(class JSSelector extends Sel.BaseSelector {
    vfunc_open() {
        this.inner = new Sel.PollSelector();
        this.log = [];
        return true;
    }

    vfunc_update(fd, oldEvents, newEvents) {
        this.log.push([fd, oldEvents, newEvents]);
        if (!newEvents)
            this.inner.unregister(fd);
        else if (oldEvents)
            this.inner.modify(fd, newEvents);
        else
            this.inner.register(fd, newEvents);
        return true;
    }

    vfunc_wait(timeout) {
        for (const [key, events] of this.inner.select(timeout))
            this.report(key.fd, events);
        return true;
    }

    vfunc_release(forked) {
        this.released = forked;
        this.inner.close();
    }
});

const classes = {default: Sel.DefaultSelector, select: Sel.SelectSelector, poll: Sel.PollSelector,
    epoll: Sel.EpollSelector, kqueue: Sel.KqueueSelector, devpoll: Sel.DevpollSelector, javascript: JSSelector};

function testBackend(name, func) {
    for (const [kind, cls] of Object.entries(classes)) {
        if (cls.is_supported?.() ?? true) {
            test(`${kind}/${name}`, () => withSockets(async (a, b) => {
                const selector = new cls();

                // gjs does not allow vfunc_release() during a garbage collection.
                try {
                    await func(selector, a, b);
                } finally {
                    selector.close();
                }
            }));
        }
    }
}

testBackend('round', (selector, a, b) => {
    const data = {some: 'thing'};
    const key = selector.register(a, READ, data);

    assert(key.fileobj === a && key.fd === a.get_fd() && key.events === READ && key.data === data);
    assert(Object.isFrozen(key) && selector.get_key(a) === key && selector.get_key(key.fd) === key);
    assertEqual(selector.select(0), []);
    assertEqual(selector.select(-1), []);
    b.send([1], null);
    const pairs = selector.select();
    assert(pairs.length === 1 && pairs[0][0] === key && pairs[0][1] === READ);

    const changed = selector.modify(a, READ | WRITE, data);
    assert(changed !== key && key.events === READ && changed.data === data && changed.fileobj === a);
    assert(selector.modify(a, READ | WRITE, data) === changed);
    assertEqual(selector.select(Sel.WAIT_FOREVER).map(([, events]) => events), [READ | WRITE]);
    assert(selector.modify(a, WRITE).data === null);

    assert(selector.unregister(a).events === WRITE);
    assertEqual(selector.select(0), []);
    selector.close();
    selector.close();
    assert(selector.is_closed() && selector.get_map() === null && [...selector].length === 0);
});

testBackend('waits', selector => {
    const before = GLib.get_monotonic_time();

    assertEqual(selector.select(0.02), []);
    assert(GLib.get_monotonic_time() - before >= 20000);
    selector.wakeup();
    assertEqual(selector.select(), []);
});

testBackend('errors', (selector, a) => {
    const {INVALID_EVENTS, INVALID_FILE, INVALID_TIMEOUT, NOT_REGISTERED, ALREADY_REGISTERED, CLOSED} = Sel.SelectorError;

    for (const events of [0, 4, -1, NaN, null, undefined, 'read', {}])
        assertThrows(() => selector.register(a, events), hasCode(INVALID_EVENTS));
    for (const fileobj of [null, undefined, NaN, 0.5, 2 ** 32, '0', {}, Object.create(null), () => 0])
        assertThrows(() => selector.register(fileobj, READ), isTypeError);
    assertThrows(() => selector.register(-1, READ), hasCode(INVALID_FILE));
    assertThrows(() => selector.register(new GObject.Object(), READ), hasCode(INVALID_FILE));
    assertThrows(() => selector.register(CLOSED_FD, READ), hasErrno(EBADF));
    for (const method of ['unregister', 'get_key', 'refresh'])
        assertThrows(() => selector[method](a), hasCode(NOT_REGISTERED));
    assertThrows(() => selector.modify(a, READ), hasCode(NOT_REGISTERED));
    assertThrows(() => selector.set_callback(a, () => true), hasCode(NOT_REGISTERED));
    assertThrows(() => selector.select(NaN), hasCode(INVALID_TIMEOUT));
    assertThrows(() => selector.select('soon'), hasCode(INVALID_TIMEOUT));
    assertEqual([...selector], []);

    selector.register(a, READ);
    assertThrows(() => selector.register(a, WRITE), hasCode(ALREADY_REGISTERED));
    assertThrows(() => selector.register_callback(a, READ, () => true), hasCode(ALREADY_REGISTERED));
    assertThrows(() => selector.modify(a, 0), hasCode(INVALID_EVENTS));
    for (const func of [7, {}, 'f']) {
        assertThrows(() => selector.attach(null, 0, func), isTypeError);
        assertThrows(() => selector.set_callback(a, func), isTypeError);
        assertThrows(() => selector.create_dispatch_source(func), isTypeError);
    }
    assertThrows(() => selector.register_callback(a, READ, null), isTypeError);
    assertEqual(selector.get_key(a).events, READ);
    assertThrows(() => selector.select(null, cancelled()), error => error.matches(Gio.IOErrorEnum, Gio.IOErrorEnum.CANCELLED));

    selector.close();
    for (const method of ['register', 'modify', 'unregister', 'get_key'])
        assertThrows(() => selector[method](a, READ), hasCode(CLOSED));
    assertThrows(() => selector.select(0), hasCode(CLOSED));
});

function cancelled() {
    const cancellable = new Gio.Cancellable();

    cancellable.cancel();
    return cancellable;
}

testBackend('any data', (selector, a) => {
    for (const data of [null, 0, 2 ** 60, 'text', Symbol('s'), [1, 2], new Map(), () => 1, {a: 1}, 10n, selector, NaN]) {
        const key = selector.register(a, READ, data);

        collect();
        assert(Object.is(selector.get_key(a).data, data) && Object.is(key.data, data));
        selector.unregister(a);
    }
    assert(selector.register(a, READ, undefined).data === null);
});

// After a registration has ended in any way, its data is released.
const endings = {
    unregister: (selector, a) => selector.unregister(a),
    modify: (selector, a) => selector.modify(a, READ),
    close: selector => selector.close(),
    callback: (selector, a, b, context) => {
        selector.set_callback(a, () => GLib.SOURCE_REMOVE);
        selector.attach(context);
        iterate(context, () => !selector.get_map().has(a));
    },
    refused: (selector, a) => {
        const key = selector.get_key(a);

        a.close();
        assertThrows(() => selector.modify(a, READ), hasErrno(EBADF));
        assert(!selector.get_map().has(key.fd));
    },
};
// The data are selectors with a descriptor of their own, which shows whether they still exist.
for (const [name, end] of Object.entries(endings)) {
    test(`data after ${name}`, () => {
        const all = Array.from({length: 20}, () => {
            const selector = new Sel.PollSelector();
            const sockets = socketPair();

            const data = new Sel.EpollSelector();

            data.get_fd();
            selector.register(sockets[0], WRITE, data);
            return [selector, ...sockets, new GLib.MainContext()];
        });

        collect();
        // Each has the set that it waits with and the one that get_fd() returns.
        assertEqual(countOpenFiles('eventpoll'), 40);
        all.forEach(args => end(...args));
        collect();
        assert(countOpenFiles('eventpoll') < 10, `${countOpenFiles('eventpoll')} are left`);
        all.forEach(([, a, b]) => [a, b].forEach(socket => socket.close()));
    });
}

testBackend('closed', (selector, a, b) => {
    const key = selector.register(a, READ);
    const fd = a.get_fd();

    a.close();
    assertEqual(selector.check().map(closed => closed === key), [true]);
    assert(selector.get_key(a) === key && selector.get_map().get(a) === key);
    assert(selector.unregister(a) === key);
    assertThrows(() => selector.register(a, READ), hasCode(Sel.SelectorError.INVALID_FILE));
    assertThrows(() => selector.register(fd, READ), hasErrno(EBADF));
    selector.register(b, READ);
    assertEqual(selector.select().length, 1);
});

// When the kernel refuses a change, the C library unregisters the descriptor, and so must JavaScript.
test('modify refused', () => withSockets((a, b) => {
    const selector = new Sel.EpollSelector();

    selector.register(a, READ);
    a.close();
    assertThrows(() => selector.modify(a, WRITE), hasErrno(EBADF));
    assertEqual([...selector.get_map()], []);
    assertThrows(() => selector.get_key(a), error => error instanceof Sel.SelectorError);
    selector.register(b, READ);
    b.close();
    assertThrows(() => selector.refresh(b), hasErrno(EBADF));
    assertEqual([...selector], []);
}));

testBackend('map', (selector, a, b) => {
    const map = selector.get_map();
    const data = {};

    assert(map.size === 0 && !map.has(a) && map.get(a) === undefined && !map.has('nonsense'));
    const keys = [selector.register(a, READ, 'a'), selector.register(b, WRITE, 'b')];
    assert(map.size === 2 && map.has(a) && map.get(b.get_fd()) === keys[1]);
    assertEqual([...map.keys()], keys.map(key => key.fd));
    assert([...map.values()].every((key, i) => key === keys[i]));
    assert([...map].every(([fd, key], i) => key === keys[i] && fd === key.fd));
    assert([...selector].every((key, i) => key === keys[i]));
    map.forEach(function (key, fd, of) {
        assert(key === keys.shift() && fd === key.fd && of === map && this === data);
    }, data);
    assertEqual(keys, []);
    selector.unregister(a);
    assert(map.size === 1);
    selector.close();
    assertEqual([...map], []);
});

testBackend('attach', (selector, a, b) => {
    const context = new GLib.MainContext();
    const calls = [];

    selector.register(a, READ, 'a');
    const id = selector.attach(context, GLib.PRIORITY_DEFAULT, (...args) => {
        calls.push(args);
        return GLib.SOURCE_CONTINUE;
    });
    assert(id > 0);
    b.send([1], null);
    iterate(context, () => calls.length === 2);
    assert(calls.every(args => args[0] === selector && args[1] === selector.get_key(a) && args[2] === READ));
    const source = selector.create_dispatch_source(() => GLib.SOURCE_REMOVE);
    source.attach(context);
    iterate(context, () => source.is_destroyed());
    selector.close();
    assert(context.find_source_by_id(id) === null);
});

testBackend('plain source', (selector, a, b) => {
    const context = new GLib.MainContext();
    const source = selector.create_source();
    let pairs = null;

    selector.register(a, READ);
    source.set_callback(() => {
        pairs = selector.select(0);
        return GLib.SOURCE_REMOVE;
    });
    source.attach(context);
    b.send([1], null);
    iterate(context, () => pairs !== null);
    assert(pairs[0][0].fileobj === a && source.is_destroyed());
});

testBackend('callbacks of descriptors', (selector, a, b) => {
    const context = new GLib.MainContext();
    const calls = [];
    let goesOn = true;
    const log = name => (sel, key, events) => {
        calls.push([name, sel === selector, key, events]);
        return goesOn;
    };

    const key = selector.register_callback(a, READ, log('own'));
    selector.attach(context, GLib.PRIORITY_DEFAULT, log('source'));
    b.send([1], null);
    iterate(context, () => calls.length === 1);
    assertEqual(calls, [['own', true, key, READ]]);
    assert(calls.pop()[2] === key);

    // The callback stays when something else is changed.
    const changed = selector.modify(a, READ, 'data');
    iterate(context, () => calls.length === 1);
    assert(calls.pop()[2] === changed && selector.get_key(a).data === 'data');

    selector.set_callback(a, log('other'));
    iterate(context, () => calls.length === 1);
    assertEqual(calls.pop()[0], 'other');
    selector.set_callback(a, null);
    iterate(context, () => calls.length === 1);
    assertEqual(calls.pop()[0], 'source');

    selector.set_callback(a, log('last'));
    goesOn = false;
    iterate(context, () => calls.length === 1);
    assertEqual(calls.pop()[0], 'last');
    assertEqual([...selector], []);
    assertThrows(() => selector.unregister(a), hasCode(Sel.SelectorError.NOT_REGISTERED));
});

// A callback may register again before it returns false, or close everything.
testBackend('callbacks change everything', (selector, a, b) => {
    const context = new GLib.MainContext();
    let calls = 0;

    selector.register_callback(a, READ, () => {
        selector.unregister(a);
        selector.register_callback(a, READ, () => {
            calls++;
            selector.close();
            return GLib.SOURCE_CONTINUE;
        });
        return GLib.SOURCE_REMOVE;
    });
    selector.attach(context);
    b.send([1], null);
    iterate(context, () => calls > 0);
    assert(calls === 1 && selector.is_closed());
});

testBackend('kept arguments', (selector, a, b) => {
    const context = new GLib.MainContext();
    const kept = [];
    const keep = (...args) => kept.push(args);

    selector.register_callback(a, READ, keep);
    selector.attach(context, GLib.PRIORITY_DEFAULT, keep);
    b.send([1], null);
    iterate(context, () => kept.length === 1);
    selector.set_callback(a);
    iterate(context, () => kept.length === 2);
    kept.push(...selector.select().map(pair => [selector, ...pair]));
    selector.unregister(a);
    selector.close();
    selector = null;
    collect();
    for (const [sel, key, events] of kept) {
        assert(sel.is_closed() && key.fileobj === a && events === READ);
        assert(key.fd === a.get_fd() && key.events === READ);
    }
});

testBackend('promises', async (selector, a, b) => {
    assertEqual(await selector.select_async(0), []);
    assertEqual(await selector.select_async(0.01), []);

    const key = selector.register(a, READ, 'a');
    const waiting = selector.select_async();
    b.send([1], null);
    const [[found, events]] = await waiting;
    assert(found === key && events === READ);

    let [error] = await failures(() => selector.select_async(NaN));
    assert(hasCode(Sel.SelectorError.INVALID_TIMEOUT)(error), `${error}`);
    selector.unregister(a);
    const cancellable = new Gio.Cancellable();
    [error] = await failures(() => {
        const promise = selector.select_async(null, GLib.PRIORITY_HIGH, cancellable);

        cancellable.cancel();
        return promise;
    });
    assert(error.matches(Gio.IOErrorEnum, Gio.IOErrorEnum.CANCELLED), `${error}`);
    [error] = await failures(() => {
        const promise = selector.select_async();

        selector.close();
        return promise;
    });
    assert(hasCode(Sel.SelectorError.CLOSED)(error), `${error}`);
});

async function failures(func) {
    try {
        await func();
    } catch (error) {
        return [error];
    }
    throw new Error('nothing was thrown');
}

test('callback instead of a promise', () => withSockets(a => {
    const selector = new Sel.DefaultSelector();
    const context = GLib.MainContext.default();
    let pairs = null;

    selector.register(a, WRITE);
    selector.select_async(5, GLib.PRIORITY_DEFAULT, null, (source, result) => {
        pairs = source.select_finish(result);
    });
    iterate(context, () => pairs !== null);
    assert(pairs.length === 1 && pairs[0][0].fileobj === a && pairs[0][1] === WRITE);
}));

test('file objects', () => withSockets((a, b) => {
    const selector = new Sel.DefaultSelector();
    const File = GObject.registerClass({Implements: [Sel.FileObject]}, class File extends GObject.Object {
        vfunc_query_fd() {
            return [true, this.number];
        }
    });
    const file = new File();
    const connection = a.connection_factory_create_connection();

    file.number = a.get_fd();
    for (const fileobj of [a.get_fd(), a, connection, connection.get_input_stream(),
        new Gio.DataInputStream({base_stream: connection.get_input_stream(), close_base_stream: false}),
        {fileno: () => a.get_fd()}, {get_fd: () => a.get_fd()}, GLib.IOChannel.unix_new(a.get_fd()), file]) {
        const key = selector.register(fileobj, READ);
        assert(key.fileobj === fileobj && key.fd === a.get_fd());
        assert(selector.get_key(fileobj) === key && selector.get_key(a) === key);
        assert(selector.unregister(fileobj) === key);
    }
    for (const method of ['register_object', 'get_key_object', 'modify_object', 'unregister_object'])
        assert(selector[method](b, READ, 'data').fileobj === b);
    assertEqual(selector.register_object_callback(b, READ, () => true).fd, b.get_fd());

    file.number = -1;
    assertThrows(() => selector.register(file, READ), hasCode(Sel.SelectorError.INVALID_FILE));
    const Broken = GObject.registerClass({Implements: [Sel.FileObject]}, class Broken extends GObject.Object {
        vfunc_query_fd() {
            throw new Error('on purpose');
        }
    });
    assertThrows(() => selector.register(new Broken(), READ), error => error instanceof Error);
    assertEqual([...selector].map(key => key.fileobj === b), [true]);
}));

// The selector of a main context, which JavaScript and C code share.
test('the selector of a context', () => withSockets((a, b) => {
    const context = new GLib.MainContext();
    const selector = Sel.main_context_get_selector(context);
    const calls = [];

    assert(selector === Sel.main_context_get_selector(context));
    selector.register_callback(a, READ, (sel, key) => calls.push(key.fileobj));
    b.send([1], null);
    iterate(context, () => calls.length > 0);
    assert(calls[0] === a);
    selector.unregister(a);
}));

test('subclass', () => withSockets((a, b) => {
    const selector = new JSSelector();
    const fd = a.get_fd();

    selector.register(a, READ);
    selector.modify(a, READ | WRITE);
    selector.unregister(a);
    assertEqual(selector.log.filter(([n]) => n === fd), [[fd, 0, READ], [fd, READ, READ | WRITE], [fd, READ | WRITE, 0]]);
    selector.close();
    assert(selector.released === false);

    const Loud = GObject.registerClass(class Loud extends Sel.DefaultSelector {
        vfunc_wait(timeout) {
            this.waits = (this.waits ?? 0) + 1;
            return super.vfunc_wait(timeout);
        }
    });
    const loud = new Loud();
    loud.register(a, READ);
    b.send([1], null);
    assertEqual(loud.select().map(([key]) => key.fd), [fd]);
    assert(loud.waits >= 1);
}));

test('subclass throws', () => withSockets((a, b) => {
    const Failing = GObject.registerClass(class Failing extends JSSelector {
        vfunc_open() {
            this.tell('open');
            return super.vfunc_open();
        }

        vfunc_update(...args) {
            this.tell('update');
            return super.vfunc_update(...args);
        }

        vfunc_wait(timeout) {
            this.tell('wait');
            return this.silent ? false : super.vfunc_wait(timeout);
        }

        tell(what) {
            if (Failing.broken === what)
                throw Failing.error;
        }
    });
    const errors = [[new Error('on purpose'), error => error.message.includes('on purpose')],
        [new Gio.IOErrorEnum({code: Gio.IOErrorEnum.BUSY, message: 'on purpose'}),
            error => error.matches(Gio.IOErrorEnum, Gio.IOErrorEnum.BUSY)]];

    for (const [error, check] of errors) {
        Failing.error = error;
        for (const broken of ['open', 'update']) {
            Failing.broken = broken;
            const selector = new Failing();
            assertThrows(() => selector.register(a, READ), check);
            assertThrows(() => selector.select(0), check);
            Failing.broken = null;
            selector.close();
        }

        Failing.broken = null;
        const selector = new Failing();
        selector.register(a, READ);
        Failing.broken = 'update';
        assertThrows(() => selector.register(b, READ), check);
        assertThrows(() => selector.modify(a, WRITE), check);
        assertEqual([...selector], []);
        Failing.broken = 'wait';
        assertThrows(() => selector.select(0), check);
        Failing.broken = null;
        selector.silent = true;
        assertThrows(() => selector.select(0), hasCode(Sel.SelectorError.FAILED));
        selector.silent = false;
        assertEqual(selector.select(0), []);
        selector.close();
    }
}));

// No mistake in a script's own backend may abort the process.
test('subclass reports nonsense', () => withSockets(a => {
    const Odd = GObject.registerClass(class Odd extends JSSelector {
        vfunc_wait() {
            for (const fd of [0, -1, CLOSED_FD, a.get_fd()])
                this.report(fd, READ);
            return true;
        }
    });
    const selector = new Odd();

    selector.register(a, READ);
    assertEqual(selector.select().map(([key]) => key.fd), [a.get_fd()]);
    selector.close();
}));

test('an exception in a callback', () => withSockets((a, b) => {
    const selector = new Sel.DefaultSelector();
    const context = new GLib.MainContext();
    let calls = 0;

    selector.register_callback(a, READ, () => {
        calls++;
        throw new Error('a callback fails on purpose');
    });
    selector.attach(context);
    b.send([1], null);
    // gjs logs a critical message, which is fatal elsewhere in the tests.
    const fatal = GLib.log_set_always_fatal(GLib.LogLevelFlags.LEVEL_ERROR);
    iterate(context, () => calls === 1);
    GLib.log_set_always_fatal(fatal);
    assertEqual([...selector], []);
}));

// The garbage collector frees cycles from the registrations to the selector, even without close().
test('dropped', () => withSockets((a, b) => {
    const make = () => {
        const selector = new Sel.EpollSelector();

        selector.register(a, READ, {selector});
        selector.register_callback(b, READ, () => selector.is_closed());
        selector.select(0);
    };

    collect();
    const before = countOpenFiles();
    for (let i = 0; i < 50; i++)
        make();
    collect();
    assert(countOpenFiles() <= before + 4, `${countOpenFiles()} open files, ${before} before`);
}));

// Loads the override with a fake namespace. The type of the default selector is null, as with too many open files, or
// its class is not in the namespace.
test('no class for the default', () => {
    for (const type of [null, JSSelector.$gtype]) {
        const namespace = {
            BaseSelector: class { select_async() {} },
            default_selector_type: () => type,
        };

        for (const name of ['SelectSelector', 'PollSelector', 'EpollSelector', 'DevpollSelector', 'KqueueSelector',
            'SelectorKey', 'SelectorEvent', 'SelectorMapping'])
            namespace[name] = class {};
        imports.overrides.Sel._init.call(namespace);
        assert(namespace.DefaultSelector === namespace.PollSelector, `${namespace.DefaultSelector}`);
    }
});

test('legacy imports', () => {
    assert(imports.gi.Sel.BaseSelector === Sel.BaseSelector && imports.gi.Sel.WAIT_FOREVER === Infinity);
    assert(GObject.type_is_a(Sel.DefaultSelector.$gtype, Sel.BaseSelector.$gtype));
});

await run('gjs');
