// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Repeating an operation in JavaScript takes no more memory than doing it once. Prints TAP.

import Gio from 'gi://Gio';
import GLib from 'gi://GLib';
import GObject from 'gi://GObject';
import Sel from 'gi://Sel?version=1.0';
import SelTest from 'gi://SelTest?version=1.0';

import {assert, collect, countOpenFiles, run, test, withSockets} from './harness.js';

const {READ, WRITE} = Sel.EventMask;
const ROUNDS = 2000;
const BATCHES = 5;

// For the functions that return lists: 100,000 calls.
const LIST_ROUNDS = 20000;

// The descriptors that a selector itself keeps open.
const OWN_FILES = 4;

// Even the smallest C object, and an element of a list, takes more than this.
const BYTES_PER_ROUND = 16;

function readMemory() {
    collect();
    return SelTest.memory_in_use();
}

// Returns the bytes that a round leaks: the median, because the garbage collector allocates and frees at any time.
async function measure(func, rounds) {
    const growths = [];
    let memory;

    for (let batch = 0; batch <= BATCHES; batch++) {
        memory = readMemory();
        for (let i = 0; i < rounds; i++) {
            const promise = func();

            if (promise)
                await promise;
        }
        growths.push((readMemory() - memory) / rounds);
    }

    // The first batch is a warm-up.
    return growths.slice(1).sort((x, y) => x - y)[(BATCHES - 1) / 2];
}

function testLeak(name, prepare, rounds = ROUNDS) {
    test(name, () => withSockets(async (a, b) => {
        const selector = new Sel.DefaultSelector();
        const context = new GLib.MainContext();
        const files = countOpenFiles();
        const growth = await measure(prepare(selector, a, b, context), rounds);

        print(`# ${name}: ${growth.toFixed(1)} bytes for each round`);
        assert(growth < BYTES_PER_ROUND, `${growth} bytes for each round`);
        assert(countOpenFiles() <= files + OWN_FILES);
        selector.close();
    }));
}

test('a leak is seen', async () => {
    const kept = [];
    const growth = await measure(() => void kept.push(new Gio.Cancellable()), ROUNDS);

    assert(growth > BYTES_PER_ROUND, `${growth} bytes for each round`);
});

testLeak('select', (selector, a, b) => {
    selector.register(a, WRITE, {});
    selector.register(b, WRITE, {});
    return () => void selector.select(0);
}, LIST_ROUNDS);

testLeak('select without the override', (selector, a, b) => {
    selector.register(a, WRITE, {});
    return () => selector.select_fds(0, null) && undefined;
});

testLeak('register', (selector, a) => () => {
    const data = {selector};

    selector.register(a, READ, data);
    selector.modify(a, READ | WRITE, [data]);
    selector.get_key(a);
    selector.unregister(a);
});

testLeak('file objects', (selector, a) => {
    const connection = a.connection_factory_create_connection();

    return () => {
        selector.register(connection.get_input_stream(), READ);
        selector.unregister(a);
    };
});

testLeak('mapping', (selector, a, b) => {
    selector.register(a, WRITE);
    selector.register(b, WRITE);
    return () => {
        for (const key of selector)
            selector.get_map().get(key.fileobj);
        selector.check();
    };
}, LIST_ROUNDS);

testLeak('errors', (selector, a) => () => {
    for (const func of [() => selector.register(a, 0), () => selector.unregister(a),
        () => selector.register_callback(54321, READ, () => true), () => selector.select(NaN)]) {
        try {
            func();
        } catch {
            continue;
        }
        throw new Error('nothing was thrown');
    }
}, ROUNDS / 2);

testLeak('callbacks', (selector, a, b, context) => {
    let calls = 0;

    selector.attach(context, GLib.PRIORITY_DEFAULT, () => true);
    return () => {
        const before = calls;

        selector.register_callback(a, WRITE, (sel, key, events) => {
            calls += Number(key.fd === a.get_fd() && events === WRITE);
            return GLib.SOURCE_REMOVE;
        });
        context.iteration(false);
        assert(calls === before + 1);
        selector.register_callback(a, WRITE, () => false);
        selector.set_callback(a, () => true);
        selector.set_callback(a, null);
        selector.unregister(a);
    };
});

testLeak('sources', (selector, a, b, context) => {
    selector.register(a, WRITE);
    return () => {
        let calls = 0;

        selector.attach(context, GLib.PRIORITY_DEFAULT, () => {
            calls++;
            return GLib.SOURCE_REMOVE;
        });
        iterateOnce(context);
        assert(calls === 1);
        const source = selector.create_dispatch_source(() => true);
        source.attach(context);
        source.destroy();
    };
}, ROUNDS / 2);

function iterateOnce(context) {
    while (context.iteration(false))
        continue;
}

testLeak('promises', (selector, a) => {
    selector.register(a, WRITE);
    return async () => {
        const [[key]] = await selector.select_async(1);

        assert(key.fileobj === a);
    };
}, LIST_ROUNDS / 5);

testLeak('selectors', (unused, a, b) => () => {
    const selector = new Sel.DefaultSelector();

    selector.register(a, WRITE, {selector});
    selector.register_callback(b, WRITE, () => selector.is_closed());
    assert(selector.select(0).length === 2);
    selector.close();
}, ROUNDS / 5);

const JSSelector = GObject.registerClass(class LeakSelector extends Sel.BaseSelector {
    vfunc_update(fd, oldEvents, newEvents) {
        this.events = newEvents;
        return true;
    }

    vfunc_wait() {
        if (this.broken)
            throw new Error('on purpose');
        this.report(this.fd, this.events);
        return true;
    }
});

testLeak('subclass', (unused, a) => {
    const selector = new JSSelector();

    selector.fd = a.get_fd();
    return () => {
        selector.register(a, WRITE);
        assert(selector.select(0).length === 1);
        selector.broken = true;
        try {
            selector.select(0);
        } catch {
            selector.broken = false;
        }
        selector.unregister(a);
    };
}, ROUNDS / 2);

await run('gjs-leaks');
