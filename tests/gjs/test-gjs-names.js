// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The override's objects under the names of the GIR, asynchronous iteration, and errors for mistakes in calls. Prints
// TAP.

import Gio from 'gi://Gio';
import GLib from 'gi://GLib';
import GObject from 'gi://GObject';
import Sel from 'gi://Sel?version=1.0';

import {assert, assertEqual, assertThrows, iterate, run, test, withSockets} from './harness.js';

const {READ, WRITE} = Sel.EventMask;
const MECHANISMS = ['SelectSelector', 'PollSelector', 'EpollSelector', 'DevpollSelector', 'KqueueSelector'];

const isTypeError = (...words) => error => error instanceof TypeError &&
    words.every(word => error.message.includes(word));

async function failure(promise) {
    try {
        await promise;
    } catch (error) {
        return error;
    }
    throw new Error('nothing was thrown');
}

// Hides the warnings that an error in a callback causes.
function withoutWarnings(func) {
    const fatal = GLib.log_set_always_fatal(GLib.LogLevelFlags.LEVEL_ERROR);

    try {
        func();
    } finally {
        GLib.log_set_always_fatal(fatal);
    }
}

function checkKey(key, fileobj, events, data) {
    assert(key instanceof Sel.SelectorKey);
    assert(key.get_fileobj() === fileobj && key.get_fd() === fileobj.get_fd());
    assert(key.get_events() === events && key.get_data() === data);
}

test('keys', () => withSockets((a, b) => {
    const selector = new Sel.DefaultSelector();
    const data = {};

    checkKey(selector.register(a, READ, data), a, READ, data);
    checkKey(selector.modify(a, WRITE, data), a, WRITE, data);
    checkKey(selector.get_key(a), a, WRITE, data);
    checkKey([...selector][0], a, WRITE, data);
    checkKey(selector.register_callback(b, READ, () => true), b, READ, null);
    checkKey(selector.unregister(a), a, WRITE, data);
    assert(!({} instanceof Sel.SelectorKey));
    selector.close();
}));

test('the key of C code', () => withSockets(a => {
    const selector = new Sel.DefaultSelector();

    // Without the records of the override, the registration is like one of C code.
    selector.register(a, READ);
    for (const symbol of Object.getOwnPropertySymbols(selector))
        selector[symbol].clear?.();
    const key = selector.get_key(a);
    assert(key instanceof Sel.SelectorKey && key.get_fd() === a.get_fd() && key.get_fileobj() === key.get_fd());
    assert(key.get_events() === READ && key.get_data() === null);
    selector.close();
}));

test('pairs', () => withSockets(async (a, b) => {
    const selector = new Sel.DefaultSelector();
    const key = selector.register(a, READ);

    b.send([1], null);
    for (const pairs of [selector.select(), await selector.select_async()]) {
        assert(pairs.length === 1 && Array.isArray(pairs[0]) && pairs[0] instanceof Sel.SelectorEvent);
        assert(pairs[0].get_key() === key && pairs[0].get_events() === READ);
        assertEqual(pairs[0].map(() => 7), [7, 7]);
        assertEqual(pairs.map(([k, events]) => [k.fd, events]), [[key.fd, READ]]);
        assert(!(pairs instanceof Sel.SelectorEvent));
    }
    selector.close();
}));

test('the mapping', () => withSockets((a, b) => {
    const selector = new Sel.DefaultSelector();
    const map = selector.get_map();
    const key = selector.register(a, READ, 'a');

    assert(map instanceof Sel.SelectorMapping && map === selector.get_map() && map === selector.map);
    assert(map.get_size() === 1 && map.contains(a) && map.contains(key.fd) && !map.contains(b));
    assert(map.lookup(key.fd) === key && map.lookup_object(a) === key && map.lookup(b) === null);
    assert(map.get_keys().length === 1 && map.get_keys()[0] === key);
    selector.close();
    assert(map.get_size() === 0 && !map.contains(a) && map.lookup(a) === null && selector.get_map() === null);
    assert(selector.map === null && selector.closed === true);
    assertEqual(map.get_keys(), []);
}));

for (const name of MECHANISMS) {
    test(`new ${name}`, () => {
        const Class = Sel[name];
        const Derived = GObject.registerClass(class extends Class {});

        for (const make of [() => new Class(), () => new Class({interruptible: true}), () => new Derived()]) {
            if (Class.is_supported()) {
                const selector = make();

                assert(selector instanceof Class);
                assertEqual(selector.interruptible, make.toString().includes('interruptible'));
                selector.close();
            } else {
                assertThrows(make, error => error instanceof Sel.SelectorError &&
                    error.code === Sel.SelectorError.NOT_SUPPORTED);
            }
        }
    });
}

const functions = {
    'an async function': async function wrong() { return true; },
    'an async arrow function': async () => true,
    'a generator': function* wrong() { yield true; },
    'an async generator': async function* wrong() { yield true; },
};
for (const [name, wrong] of Object.entries(functions)) {
    test(`${name} as a callback`, () => withSockets((a, b) => {
        const selector = new Sel.DefaultSelector();
        const refuses = func => assertThrows(func, isTypeError('must not be async', wrong.name));

        selector.register(b, READ);
        refuses(() => selector.register_callback(a, READ, wrong));
        refuses(() => selector.register_object_callback(a, READ, wrong));
        refuses(() => selector.set_callback(b, wrong));
        refuses(() => selector.attach(null, GLib.PRIORITY_DEFAULT, wrong));
        refuses(() => selector.create_dispatch_source(wrong));
        assertEqual([...selector].map(key => key.fileobj === b), [true]);
        selector.close();
    }));
}

// No check at the registration can see what an ordinary function returns.
test('a callback that returns a promise', () => withSockets((a, b) => {
    for (const own of [true, false]) {
        const selector = new Sel.DefaultSelector();
        const context = new GLib.MainContext();
        let calls = 0;
        const func = () => {
            calls++;
            return Promise.resolve(true);
        };

        if (own)
            selector.register_callback(a, WRITE, func);
        else
            selector.register(a, WRITE);
        const id = selector.attach(context, GLib.PRIORITY_DEFAULT, own ? null : func);
        withoutWarnings(() => iterate(context, () => calls > 0));
        assertEqual(calls, 1);
        // The result counts as false, which ends the registration or removes the source.
        assertEqual([...selector].length, own ? 0 : 1);
        assert((context.find_source_by_id(id) === null) === !own);
        selector.close();
    }
}));

test('for await', () => withSockets(async (a, b) => {
    const selector = new Sel.DefaultSelector();
    const key = selector.register(a, READ);
    let turns = 0;

    b.send([1], null);
    for await (const events of selector) {
        assert(events.length === 1 && events[0].get_key() === key);
        if (++turns === 3)
            break;
    }
    assertEqual(turns, 3);

    // Nothing is pending after the loop, so another wait can begin.
    assertEqual((await selector.select_async()).length, 1);
    selector.close();
    for await (const events of selector)
        assert(false, `${events} after close()`);
}));

test('for await ends at close()', () => withSockets(async a => {
    const selector = new Sel.DefaultSelector();

    selector.register(a, READ);
    GLib.idle_add(GLib.PRIORITY_DEFAULT_IDLE, () => {
        selector.close();
        return GLib.SOURCE_REMOVE;
    });
    for await (const events of selector)
        assert(false, `${events} without an event`);
    assert(selector.is_closed());
}));

test('for await and wakeup()', () => withSockets(async a => {
    const selector = new Sel.DefaultSelector();
    let turns = 0;

    selector.register(a, READ);
    GLib.idle_add(GLib.PRIORITY_DEFAULT_IDLE, () => {
        selector.wakeup();
        return GLib.SOURCE_REMOVE;
    });
    for await (const events of selector) {
        turns++;
        assertEqual(events, []);
        break;
    }
    assertEqual(turns, 1);
    selector.close();
}));

test('a class without a virtual function', () => withSockets(a => {
    const Bare = GObject.registerClass(class BareSelector extends Sel.BaseSelector {});
    const Half = GObject.registerClass(class HalfSelector extends Sel.BaseSelector {
        vfunc_update() {
            return true;
        }
    });
    const bare = new Bare(), half = new Half();
    const names = text => error => error instanceof Sel.SelectorError && error.message.includes(text);

    assertThrows(() => bare.register(a, READ), names('BareSelector does not implement update ()'));
    half.register(a, READ);
    assertThrows(() => half.select(0), names('HalfSelector does not implement wait ()'));
    bare.close();
    half.close();
}));

test('for await throws other errors', async () => {
    const Failing = GObject.registerClass(class Failing extends Sel.BaseSelector {
        vfunc_open() {
            throw new Error('on purpose');
        }
    });
    const selector = new Failing();
    const loop = async () => {
        for await (const events of selector)
            assert(false, `${events}`);
    };

    assert((await failure(loop())).message.includes('on purpose'));
    selector.close();
});

test('the order of arguments', async () => {
    const selector = new Sel.DefaultSelector();
    const func = function ready() { return true; };
    const cancellable = new Gio.Cancellable();
    const select = 'select (timeout, cancellable)';
    const selectAsync = 'select_async (timeout, io_priority, cancellable, callback)';
    const attach = 'attach (context, priority, func)';

    assertThrows(() => selector.attach(func), isTypeError(attach, 'context', 'ready'));
    assertThrows(() => selector.attach(GLib.PRIORITY_DEFAULT), isTypeError(attach, 'context'));
    assertThrows(() => selector.attach(null, func), isTypeError(attach, 'priority', 'ready'));
    assertThrows(() => selector.select(cancellable), isTypeError(select, 'timeout'));
    assertThrows(() => selector.select(0, 0), isTypeError(select, 'cancellable'));
    assertThrows(() => selector.select_async(cancellable), isTypeError(selectAsync, 'timeout'));
    assertThrows(() => selector.select_async(func), isTypeError(selectAsync, 'timeout', 'ready'));
    assertThrows(() => selector.select_async(0, cancellable), isTypeError(selectAsync, 'io_priority'));
    assertThrows(() => selector.select_async(0, 0, func), isTypeError(selectAsync, 'cancellable', 'ready'));
    assertThrows(() => selector.select_async(0, 0, null, cancellable), isTypeError(selectAsync, 'callback'));
    assertThrows(() => selector.register(0, func), error => error.message.includes('ready'));

    // The failed calls started nothing.
    assertEqual(await selector.select_async(0), []);
    selector.close();
});

test('results of select_async()', () => {
    const selector = new Sel.DefaultSelector();
    const other = new Sel.PollSelector();
    let result = null;

    selector.select_async(0, GLib.PRIORITY_DEFAULT, null, (source, res) => {
        result = res;
    });
    iterate(GLib.MainContext.default(), () => result !== null);
    for (const wrong of [null, undefined, 7, {}, cancelledTask()])
        assertThrows(() => selector.select_finish(wrong), isTypeError('select_finish (result)', 'select_async ()'));
    assertThrows(() => other.select_finish(result), isTypeError('select_finish (result)'));
    assertThrows(() => selector.select_finish(Gio.Task.new(selector, null, null)),
        error => error.matches(Gio.IOErrorEnum, Gio.IOErrorEnum.INVALID_ARGUMENT));
    assertEqual(selector.select_finish(result), []);
    assertThrows(() => selector.select_finish(result), isTypeError('select_finish (result)', 'already'));
    selector.close();
    other.close();
});

test('the descriptor of the mechanism is a property', () => {
    for (const name of MECHANISMS.filter(other => Sel[other].is_supported())) {
        const selector = new Sel[name]();

        if (selector.get_fd) {
            assert(selector.fd >= 0);
            assertEqual(selector.fd, selector.get_fd());
            selector.close();
            assertEqual(selector.fd, -1);
        } else {
            assert(!('fd' in selector));
        }
    }
});

function cancelledTask() {
    return Gio.Task.new(new GObject.Object(), null, null);
}

await run('gjs-names');
