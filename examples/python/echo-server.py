#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""An echo server in a GLib main loop: one source serves all connections.

usage: echo-server.py [PORT]
"""

import argparse
import functools
import selectors
import socket

import gi

gi.require_version('Sel', '1.0')
from gi.repository import GLib, Sel  # noqa: E402

LIMIT = 1 << 16


class Connection:
    """One client. Unsent data is kept. While there is too much of it, the server does not read from the client."""

    def __init__(self, selector: Sel.BaseSelector, sock: socket.socket) -> None:
        self.sock = sock
        self.waiting = b''
        self.at_end = False
        sock.setblocking(False)
        selector.register_callback(sock, Sel.EVENT_READ, self.ready)

    def ready(self, selector: Sel.BaseSelector, key: selectors.SelectorKey, events: int) -> bool:
        try:
            if events & Sel.EVENT_READ:
                data = self.sock.recv(LIMIT)
                self.at_end = not data
                self.waiting += data
            if self.waiting:
                self.waiting = self.waiting[self.sock.send(self.waiting):]
        except BlockingIOError:
            pass
        except OSError as error:
            print('a connection failed:', error.strerror)
            return self.end(selector)

        wanted = Sel.EVENT_WRITE if self.waiting else 0
        if not self.at_end and len(self.waiting) < LIMIT:
            wanted |= Sel.EVENT_READ
        if not wanted:
            return self.end(selector)
        selector.modify(self.sock, wanted)
        return GLib.SOURCE_CONTINUE

    def end(self, selector: Sel.BaseSelector) -> bool:
        selector.unregister(self.sock)
        self.sock.close()
        return GLib.SOURCE_REMOVE


def accept(listener: socket.socket, selector: Sel.BaseSelector, key: selectors.SelectorKey, events: int) -> bool:
    try:
        sock, unused = listener.accept()
    except BlockingIOError:
        return GLib.SOURCE_CONTINUE
    Connection(selector, sock)
    return GLib.SOURCE_CONTINUE


def parse_port() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('port', nargs='?', type=int, default=0, help='the port on 127.0.0.1; by default a free one')
    version = Sel.get_major_version(), Sel.get_minor_version(), Sel.get_micro_version()
    parser.add_argument('--version', action='version', version='sel-glib %d.%d.%d' % version)
    return int(parser.parse_args().port)


def main() -> None:
    listener = socket.create_server(('127.0.0.1', parse_port()))
    listener.setblocking(False)

    with listener, Sel.DefaultSelector() as selector:
        selector.register_callback(listener, Sel.EVENT_READ, functools.partial(accept, listener))
        selector.attach()
        print('echo server over', type(selector).__name__, 'listens; Ctrl-C ends it. In another terminal try:')
        print('  nc 127.0.0.1 %d' % listener.getsockname()[1], flush=True)
        try:
            GLib.MainLoop().run()
        except KeyboardInterrupt:
            print('ended with %d connections open' % (len(selector.get_map()) - 1))


if __name__ == '__main__':
    main()
