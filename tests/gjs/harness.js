// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Shared by the tests in JavaScript: TAP output, assertions and descriptors.

import Gio from 'gi://Gio';
import GLib from 'gi://GLib';
import System from 'system';

export function assert(condition, message = 'assertion failed') {
    if (!condition)
        throw new Error(message);
}

export function assertEqual(actual, expected) {
    const [a, e] = [actual, expected].map(value => JSON.stringify(value) ?? String(value));

    assert(a === e, `${a} instead of ${e}`);
}

export function assertThrows(func, check) {
    try {
        func();
    } catch (error) {
        assert(check(error), `unexpected ${error}`);
        return;
    }
    throw new Error('nothing was thrown');
}

function tcpSocket() {
    return Gio.Socket.new(Gio.SocketFamily.IPV4, Gio.SocketType.STREAM, Gio.SocketProtocol.DEFAULT);
}

const listener = tcpSocket();
listener.bind(Gio.InetSocketAddress.new_from_string('127.0.0.1', 0), true);
listener.listen();

// Returns two connected sockets. (Not every version of GLib has pipe() for JavaScript.)
export function socketPair() {
    const client = tcpSocket();

    client.connect(listener.local_address, null);
    return [client, listener.accept(null)];
}

export function withSockets(func) {
    const sockets = socketPair();
    const close = () => sockets.forEach(socket => socket.close());
    const result = func(...sockets);

    if (result instanceof Promise)
        return result.finally(close);
    close();
    return result;
}

export function iterate(context, done) {
    let late = false;
    const timer = GLib.timeout_source_new(20000);

    timer.set_callback(() => {
        late = true;
        return GLib.SOURCE_REMOVE;
    });
    timer.attach(context);
    while (!done() && !late)
        context.iteration(true);
    timer.destroy();
    assert(!late, 'the main loop brought nothing for 20 seconds');
}

export function collect() {
    for (let i = 0; i < 3; i++)
        System.gc();
}

// Counts all open files, or those of one kind.
export function countOpenFiles(kind = '') {
    const directory = '/proc/self/fd';
    const children = Gio.File.new_for_path(directory).enumerate_children('standard::name', 0, null);
    let count = 0;

    for (let info = children.next_file(null); info; info = children.next_file(null))
        count += Number(GLib.file_read_link(`${directory}/${info.get_name()}`).includes(kind));
    children.close(null);
    return count;
}

const tests = [];

export function test(name, func) {
    tests.push([name, func]);
}

export async function run(suite) {
    let failed = 0;

    print(`1..${tests.length}`);
    for (const [i, [name, func]] of tests.entries()) {
        try {
            await func();
            print(`ok ${i + 1} /${suite}/${name}`);
        } catch (error) {
            failed++;
            print(`not ok ${i + 1} /${suite}/${name}`);
            print(`# ${error}\n${error.stack}`.trim().replaceAll('\n', '\n# '));
        }
    }
    System.exit(failed ? 1 : 0);
}
