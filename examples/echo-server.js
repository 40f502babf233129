#!/usr/bin/env -S gjs -m
// SPDX-License-Identifier: LGPL-2.1-or-later
//
// An echo server in JavaScript: a selector in a GLib.MainLoop, with a callback for each descriptor.
// usage: echo-server.js [--backend=NAME] [--port=PORT]

import Gio from 'gi://Gio';
import GLib from 'gi://GLib';
import GObject from 'gi://GObject';
import Sel from 'gi://Sel?version=1.0';
import System from 'system';

// Newer versions of GLib have this function in the namespace GLibUnix.
const addSignal = await import('gi://GLibUnix').then(
    ({default: GLibUnix}) => GLibUnix.signal_add ?? GLibUnix.signal_add_full,
    () => /** @type {any} */ (GLib).unix_signal_add);

const {READ, WRITE} = Sel.EventMask;
const SIGINT = 2;
const SIGTERM = 15;
const CHUNK_SIZE = 16384;
const PAUSE_MS = 100;

/** @type {Record<string, typeof Sel.DefaultSelector>} */
const BACKENDS = {
    default: Sel.DefaultSelector,
    select: Sel.SelectSelector,
    poll: Sel.PollSelector,
    epoll: Sel.EpollSelector,
    devpoll: Sel.DevpollSelector,
    kqueue: Sel.KqueueSelector,
};

const wouldBlock = (/** @type {any} */ error) => error.matches?.(Gio.IOErrorEnum, Gio.IOErrorEnum.WOULD_BLOCK);

// Writes all data back before it reads more. So a client that does not read cannot make the server use more memory.
class Connection {
    /**
     * @param {Server} server
     * @param {Gio.Socket} socket
     */
    constructor(server, socket) {
        this.server = server;
        this.socket = socket;
        this.stream = socket.connection_factory_create_connection().get_input_stream();
        /** @type {Uint8Array} */
        this.pending = new Uint8Array();
        this.events = READ;
        server.selector.register_callback(socket, READ, () => this.ready());
    }

    // The selector ends the registration if this returns SOURCE_REMOVE.
    ready() {
        try {
            if (this.echo())
                return GLib.SOURCE_CONTINUE;
        } catch (error) {
            this.server.fail(error);
        }

        this.close();
        return GLib.SOURCE_REMOVE;
    }

    echo() {
        if (this.pending.length === 0) {
            if (!this.socket.condition_check(GLib.IOCondition.IN))
                return true;
            this.pending = this.stream.read_bytes(CHUNK_SIZE, null).toArray();
            if (this.pending.length === 0)
                return false;
        }

        this.write();

        const events = this.pending.length > 0 ? WRITE : READ;
        if (events !== this.events)
            this.server.selector.modify(this.socket, this.events = events);
        return true;
    }

    write() {
        try {
            const n = this.socket.send(this.pending, null);

            this.pending = this.pending.subarray(n);
            this.server.nBytes += n;
        } catch (error) {
            if (!wouldBlock(error))
                throw error;
        }
    }

    close() {
        this.server.selector.unregister(this.socket);
        this.socket.close();
    }
}

class Server {
    /**
     * @param {Sel.BaseSelector} selector
     * @param {number} port
     */
    constructor(selector, port) {
        this.selector = selector;
        this.loop = new GLib.MainLoop(null, false);
        this.nConnections = this.nBytes = this.nErrors = 0;

        this.listener = Gio.Socket.new(Gio.SocketFamily.IPV4, Gio.SocketType.STREAM, Gio.SocketProtocol.TCP);
        this.listener.set_blocking(false);
        this.listener.set_listen_backlog(1024);
        this.listener.bind(Gio.InetSocketAddress.new_from_string('127.0.0.1', port), true);
        this.listener.listen();
        this.port = /** @type {Gio.InetSocketAddress} */ (this.listener.local_address).get_port();
        this.listen();
    }

    listen() {
        this.selector.register_callback(this.listener, READ, () => this.accept());
    }

    accept() {
        try {
            const socket = this.listener.accept(null);

            socket.set_blocking(false);
            new Connection(this, socket);
            this.nConnections++;
        } catch (error) {
            if (!wouldBlock(error))
                return this.pause(error);
        }

        return GLib.SOURCE_CONTINUE;
    }

    // If no descriptor is free, the listener stays ready and the main loop would spin.
    /** @param {any} error */
    pause(error) {
        this.fail(error);
        GLib.timeout_add(GLib.PRIORITY_DEFAULT, PAUSE_MS, () => {
            this.listen();
            return GLib.SOURCE_REMOVE;
        });

        return GLib.SOURCE_REMOVE;
    }

    /** @param {any} error */
    fail(error) {
        this.nErrors++;
        printerr(`echo-server.js: ${error.message}`);
    }

    run() {
        const stop = () => {
            this.loop.quit();
            return GLib.SOURCE_REMOVE;
        };

        addSignal(GLib.PRIORITY_DEFAULT, SIGINT, stop);
        addSignal(GLib.PRIORITY_DEFAULT, SIGTERM, stop);
        this.selector.attach();
        this.loop.run();
        this.selector.close();
    }
}

const USAGE = 'usage: echo-server.js [--backend=default|select|poll|epoll|devpoll|kqueue] [--port=PORT]';
/** @type {Record<string, string>} */
const options = {backend: 'default', port: '0'};
for (const argument of System.programArgs) {
    if (argument === '--help') {
        print(USAGE);
        System.exit(0);
    }
    if (argument === '--version') {
        print(`echo-server.js: sel-glib ${Sel.get_major_version()}.${Sel.get_minor_version()}.${Sel.get_micro_version()}`);
        System.exit(0);
    }
    const [, name, value] = argument.match(/^--(backend|port)=(\w+)$/) ?? [];

    if (!name || (name === 'backend' && !BACKENDS[value])) {
        printerr(USAGE);
        System.exit(2);
    }
    options[name] = value;
}

const Selector = BACKENDS[options.backend];
const selector = new Selector();
const server = new Server(selector, Number(options.port));

print(`echo-server.js: listening on 127.0.0.1 port ${server.port} with ${GObject.type_name(Selector.$gtype)}`);
print(`  try: nc 127.0.0.1 ${server.port}, or any other client; Ctrl-C ends the server`);
server.run();
print(`  connections ${server.nConnections}, bytes echoed ${server.nBytes}, errors ${server.nErrors}`);
System.exit(server.nErrors > 0 ? 1 : 0);
