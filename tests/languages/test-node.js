// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Selectors in Node.js, with node-gtk. Prints TAP.

'use strict';

const assert = require('assert');
const childProcess = require('child_process');
const gi = require('node-gtk');
const path = require('path');

const BINDING = `node-gtk ${require('node-gtk/package.json').version}`;

const Gio = gi.require('Gio', '2.0');
const GLib = gi.require('GLib', '2.0');
const GObject = gi.require('GObject', '2.0');
const Sel = gi.require('Sel', '1.0');

const {READ, WRITE} = Sel.EventMask;
const FOREVER = Sel.WAIT_FOREVER;

// Thrown by a test of something that the binding cannot do.
class Missing extends Error {}

// A socket that is always writable and never readable.
function newSocket() {
    return Gio.Socket.new(Gio.SocketFamily.IPV4, Gio.SocketType.DATAGRAM, Gio.SocketProtocol.DEFAULT);
}

function runUntil(condition) {
    while (!condition())
        GLib.MainContext.default().iteration(true);
}

const tests = {
    'register, modify and unregister'() {
        const selector = Sel.defaultSelectorNew(), socket = newSocket(), fd = socket.getFd();
        const key = selector.register(fd, READ, null);

        assert.strictEqual(key.getFd(), fd);
        assert.strictEqual(key.fd, fd);
        assert.strictEqual(selector.modify(fd, READ | WRITE, null).getEvents(), READ | WRITE);
        assert.strictEqual(key.getEvents(), READ);
        assert.strictEqual(selector.unregister(fd).getFd(), fd);
        assert.strictEqual(selector.getMap().getSize(), 0);
    },

    'an object is a file object'() {
        const selector = Sel.defaultSelectorNew(), socket = newSocket();

        assert.strictEqual(selector.registerObject(socket, WRITE, null).getFileobj(), socket);
        assert.strictEqual(selector.select(0, null)[0].getKey().getFileobj(), socket);
    },

    'select gives events'() {
        const selector = Sel.defaultSelectorNew(), writable = newSocket(), silent = newSocket();

        selector.register(writable.getFd(), READ | WRITE, null);
        selector.register(silent.getFd(), READ, null);
        const events = selector.select(FOREVER, null);
        assert.strictEqual(events.length, 1);
        assert.strictEqual(events[0].getKey().getFd(), writable.getFd());
        assert.strictEqual(events[0].getEvents(), WRITE);
        selector.unregister(writable.getFd());
        assert.deepStrictEqual(selector.select(0, null), []);
    },

    'events outlive their list and their selector'() {
        const socket = newSocket(), kept = [];

        for (let i = 0; i < 1000; i++) {
            const selector = Sel.defaultSelectorNew();
            selector.register(socket.getFd(), WRITE, null);
            kept.push(selector.select(0, null)[0]);
            selector.close();
            if (i % 100 === 0)
                global.gc();
        }
        global.gc();
        assert(kept.every(event => event.getKey().getFd() === socket.getFd() && event.getEvents() === WRITE));
    },

    'the mapping and check'() {
        const selector = Sel.defaultSelectorNew(), socket = newSocket(), fd = socket.getFd(), map = selector.getMap();

        assert.strictEqual(map.lookup(fd), null);
        selector.register(fd, READ, null);
        assert(map.contains(fd));
        assert.deepStrictEqual(map.getKeys().map(key => key.getFd()), [fd]);
        assert.deepStrictEqual(selector.check(), []);
        socket.close();
        assert.deepStrictEqual(selector.check().map(key => key.getFd()), [fd]);
        selector.close();
        assert.strictEqual(selector.getMap(), null);
    },

    'an error is an exception'() {
        const selector = Sel.defaultSelectorNew(), fd = newSocket().getFd();

        assert.throws(() => selector.register(-1, READ, null), /Invalid descriptor/);
        selector.close();
        selector.close();
        assert(selector.isClosed());
        assert.throws(() => selector.register(fd, READ, null), /closed/);
        assert.throws(() => selector.select(0, null), /closed/);
    },

    'data'() {
        const selector = Sel.defaultSelectorNew(), socket = newSocket(), data = new GObject.Value();

        data.init(GObject.typeFromName('gchararray'));
        data.setString('a text');
        selector.register(socket.getFd(), WRITE, data);
        data.unset();
        global.gc();
        assert.strictEqual(selector.select(0, null)[0].getKey().getData().getString(), 'a text');
        selector.modify(socket.getFd(), WRITE, null);
        assert.strictEqual(selector.getKey(socket.getFd()).getData(), null);
    },

    'data that is no GValue'() {
        const selector = Sel.defaultSelectorNew(), socket = newSocket();

        try {
            selector.register(socket.getFd(), WRITE, 'a text');
        } catch (error) {
            throw new Missing(error.message);
        }
    },

    'callbacks in a main loop'() {
        const selector = Sel.defaultSelectorNew(), socket = newSocket(), kept = [];

        selector.registerCallback(socket.getFd(), WRITE, (...args) => {
            kept.push(args);
            global.gc();
            return kept.length < 10;
        });
        assert(selector.attach(null, GLib.PRIORITY_DEFAULT, null) > 0);
        runUntil(() => kept.length === 10);
        assert.strictEqual(selector.getMap().getSize(), 0);
        assert(kept.every(([sel, key, events]) =>
            sel === selector && key.getFd() === socket.getFd() && events === WRITE));
        selector.close();
    },

    'an asynchronous select'() {
        const selector = Sel.defaultSelectorNew(), socket = newSocket(), kept = [];

        selector.register(socket.getFd(), WRITE, null);
        for (let i = 1; i <= 100; i++) {
            selector.selectAsync(FOREVER, GLib.PRIORITY_DEFAULT, null, (object, result) => {
                kept.push(...selector.selectFinish(result));
            });
            runUntil(() => kept.length === i);
        }
        selector.close();
        global.gc();
        assert(kept.every(event => event.getKey().getFd() === socket.getFd()));
    },

    'a backend in JavaScript'() {
        class OwnSelector extends Sel.BaseSelector {
            update(fd) {
                this.watched = fd;
                return true;
            }

            wait() {
                this.report(this.watched, READ);
                return true;
            }
        }
        class BareSelector extends Sel.BaseSelector {}

        gi.registerClass(OwnSelector);
        gi.registerClass(BareSelector);
        const selector = new OwnSelector(), fd = newSocket().getFd();
        selector.register(fd, READ, null);
        assert.deepStrictEqual(selector.select(0, null).map(event => event.getKey().getFd()), [fd]);
        assert.throws(() => new BareSelector().register(fd, READ, null), /BareSelector does not implement update/);
    },

    'the example'() {
        const example = path.join(__dirname, '../../examples/languages/hello-node.js');
        const done = childProcess.spawnSync(process.execPath, [example], {encoding: 'utf8'});

        assert.strictEqual(done.status, 0, done.stderr);
        assert.match(done.stdout, /^descriptor \d+ is readable$/m);
    },
};

// The library with memoryInUse () is built only where the C library has mallinfo2 ().
let SelTest = null;
try {
    SelTest = gi.require('SelTest', '1.0');
} catch {
    console.log('# no SelTest');
}

// Calls a function 5 * n times. Returns the bytes that each call leaves: the median of five batches.
function growthOf(n, func) {
    const growths = [];

    for (let batch = 0; batch < 5; batch++) {
        global.gc();
        const before = SelTest.memoryInUse();
        for (let i = 0; i < n; i++)
            func();
        global.gc();
        growths.push((SelTest.memoryInUse() - before) / n);
    }
    return growths.sort((a, b) => a - b)[2];
}

if (SelTest) {
    tests['lists do not grow'] = () => {
        const selector = Sel.defaultSelectorNew(), socket = newSocket(), other = newSocket();
        const map = selector.getMap();

        for (const each of [socket, other])
            selector.register(each.getFd(), WRITE, null);
        other.close();
        for (const [name, call] of Object.entries({
            select: () => selector.select(0, null).length,
            getKeys: () => map.getKeys().length,
            check: () => selector.check().length,
        })) {
            assert(call() > 0);
            const growth = growthOf(20000, call);
            console.log(`# ${name}: ${growth} bytes for each call`);
            assert(growth < 1, `${name} keeps ${growth} bytes`);
        }
    };
}

console.log(`1..${Object.keys(tests).length}`);
console.log(`# Node.js ${process.version}, ${BINDING}`);
let failed = false;
Object.entries(tests).forEach(([name, func], i) => {
    try {
        func();
        console.log(`ok ${i + 1} ${name}`);
    } catch (error) {
        if (error instanceof Missing) {
            console.log(`ok ${i + 1} ${name} # SKIP ${BINDING}: ${error.message}`);
            return;
        }
        failed = true;
        console.log(`not ok ${i + 1} ${name}`);
        console.log(`# ${error.stack}`.replaceAll('\n', '\n# '));
    }
});
process.exit(failed ? 1 : 0);
