// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The typelib in JavaScript without the override: it works, and nothing crashes. Prints TAP.

import GLib from 'gi://GLib';
import Sel from 'gi://Sel?version=1.0';

import {assert, assertEqual, assertThrows, collect, iterate, run, test, withSockets} from './harness.js';

const {READ, WRITE} = Sel.EventMask;

test('no override', () => {
    assert(Sel.DefaultSelector === undefined);
    assertEqual(Sel.WAIT_FOREVER, Number.MAX_VALUE);
});

test('round', () => withSockets((a, b) => {
    const selector = Sel.default_selector_new();
    const key = selector.register(a.get_fd(), READ, null);

    assert(key.fd === a.get_fd() && key.events === READ && selector.get_key(key.fd) === key);
    b.send([1], null);
    const events = selector.select(Infinity, null);
    selector.unregister(key.fd);
    selector.close();
    collect();
    assertEqual(events.map(event => [event.get_key().fd, event.get_events()]), [[a.get_fd(), READ]]);
}));

// gjs stores a plain object in a GValue without telling its garbage collector.
test('data', () => withSockets(a => {
    const selector = Sel.default_selector_new();
    const refuses = error => error instanceof Sel.SelectorError && error.code === Sel.SelectorError.NOT_SUPPORTED;

    assertThrows(() => selector.register(a.get_fd(), READ, {any: 'thing'}), refuses);
    collect();
    assertThrows(() => selector.get_key(a.get_fd()), error => error.code === Sel.SelectorError.NOT_REGISTERED);
    for (const data of ['text', 7, true, null]) {
        selector.register(a.get_fd(), READ, data);
        collect();
        assert(selector.get_key(a.get_fd()).get_data() === data);
        assertThrows(() => selector.modify(a.get_fd(), WRITE, {any: 'thing'}), refuses);
        selector.unregister(a.get_fd());
    }
}));

test('kept arguments', () => withSockets((a, b) => {
    const context = new GLib.MainContext();
    let selector = Sel.default_selector_new();
    const kept = [];

    const keep = (...args) => kept.push(args);
    selector.register_callback(a.get_fd(), READ, keep);
    selector.attach(context, GLib.PRIORITY_DEFAULT, keep);
    b.send([1], null);
    iterate(context, () => kept.length === 1);
    selector.set_callback(a.get_fd(), null);
    iterate(context, () => kept.length === 2);
    selector.unregister(a.get_fd());
    selector.close();
    selector = null;
    collect();
    for (const [sel, key, events] of kept)
        assert(sel.is_closed() && key.fd === a.get_fd() && key.events === READ && events === READ);
}));

await run('gjs-bare');
