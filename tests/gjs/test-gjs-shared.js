// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A selector that JavaScript shares with a library in C. Prints TAP.

import GLib from 'gi://GLib';
import Sel from 'gi://Sel?version=1.0';
import SelTest from 'gi://SelTest?version=1.0';

import {assert, assertEqual, assertThrows, iterate, run, test, withSockets} from './harness.js';

const {READ, WRITE} = Sel.EventMask;

function testShared(name, func) {
    test(name, () => withSockets((a, b) => func(new Sel.DefaultSelector(), a, b, a.get_fd())));
}

testShared('what C registers is seen', (selector, a, b, fd) => {
    SelTest.register(selector, fd, WRITE);
    selector.register(b, WRITE, 'data');

    const [[key, events]] = selector.select();
    assertEqual([key, events], [{fileobj: fd, fd, events: WRITE, data: null}, WRITE]);
    assertEqual([...selector].map(k => k.data), [null, 'data']);
    assert(selector.get_map().size === 2 && selector.get_map().has(a));
    assertEqual(selector.get_key(a), key);

    // This call adds the registration to those of JavaScript.
    const changed = selector.modify(a, READ | WRITE, 'mine');
    assert(selector.get_key(a) === changed && changed.data === 'mine');
    assertEqual(selector.unregister(a), changed);
});

testShared('what C registers is dispatched', (selector, a, b, fd) => {
    const context = new GLib.MainContext();
    const calls = [];

    SelTest.register(selector, fd, WRITE);
    selector.attach(context, GLib.PRIORITY_DEFAULT, (sel, key) => calls.push(key));
    iterate(context, () => calls.length === 1);
    assertEqual(calls[0], {fileobj: fd, fd, events: WRITE, data: null});
    selector.set_callback(a, () => {
        selector.close();
        return GLib.SOURCE_REMOVE;
    });
    iterate(context, () => selector.is_closed());
});

testShared('what C unregisters is gone', (selector, a, b, fd) => {
    selector.register(a, READ, 'old');
    SelTest.unregister(selector, fd);
    assertEqual([...selector], []);
    assert(!selector.get_map().has(a) && selector.select(0).length === 0);
    for (const method of ['get_key', 'unregister', 'modify'])
        assertThrows(() => selector[method](a, READ), error => error.code === Sel.SelectorError.NOT_REGISTERED);

    selector.register(a, WRITE, 'new');
    assertEqual(selector.select().map(([key]) => key.data), ['new']);
});

await run('gjs-shared');
