#!/usr/bin/env node
// SPDX-License-Identifier: LGPL-2.1-or-later

// Sends a message through a socket, and reads it in the main loop. "npm install node-gtk" installs the binding.

'use strict';

const gi = require('node-gtk');
const Gio = gi.require('Gio', '2.0');
const GLib = gi.require('GLib', '2.0');
const Sel = gi.require('Sel', '1.0');

const socket = Gio.Socket.new(Gio.SocketFamily.IPV4, Gio.SocketType.DATAGRAM, Gio.SocketProtocol.DEFAULT);
socket.bind(Gio.InetSocketAddress.newFromString('127.0.0.1', 0), false);

const loop = GLib.MainLoop.new(null, false);
const selector = Sel.defaultSelectorNew();

selector.registerObjectCallback(socket, Sel.EventMask.READ, (_selector, key) => {
    console.log(`descriptor ${key.fd} is readable`);
    loop.quit();
    return GLib.SOURCE_REMOVE;
});
selector.attach(null, GLib.PRIORITY_DEFAULT, null);

socket.sendTo(socket.getLocalAddress(), Buffer.from('hello'), null);
loop.run();
selector.close();
