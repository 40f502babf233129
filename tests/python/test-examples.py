#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs the examples in Python as a user does. Prints TAP.

usage: test-examples.py DIRECTORY-OF-EXAMPLES
"""

import os
import re
import signal
import socket
import subprocess
import sys
import unittest

import tap

tap.import_sel()

DIRECTORY = sys.argv.pop(1)


class Examples(unittest.TestCase):

    def start(self, name):
        """Starts an example. Returns its process and the port that it prints."""
        process = subprocess.Popen([sys.executable, os.path.join(DIRECTORY, name)], stdout=subprocess.PIPE, text=True)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        for line in process.stdout:
            if match := re.search(r'nc 127\.0\.0\.1 (\d+)', line):
                return process, int(match[1])
        self.fail('it ended at once')

    def interrupt(self, process):
        process.send_signal(signal.SIGINT)
        output = process.stdout.read()
        self.assertEqual(process.wait(), 0)
        return output

    def ask(self, port, data):
        with socket.create_connection(('127.0.0.1', port)) as sock:
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
            with sock.makefile('rb') as file:
                return file.read()

    def test_echo_server(self):
        process, port = self.start('echo-server.py')
        clients = [socket.create_connection(('127.0.0.1', port)) for unused in range(50)]
        for number, client in enumerate(clients):
            client.sendall(b'%d\n' % number)
        for number, client in enumerate(clients):
            with client.makefile('rb') as file:
                self.assertEqual(file.readline(), b'%d\n' % number)
        # A client that does not read does not block the other clients.
        clients[0].setblocking(False)
        try:
            while True:
                clients[0].send(bytes(1 << 16))
        except BlockingIOError:
            pass
        data = os.urandom(1 << 18)
        with socket.create_connection(('127.0.0.1', port)) as sock, sock.makefile('rwb') as file:
            for begin in range(0, len(data), 1 << 12):
                file.write(data[begin:begin + (1 << 12)])
                file.flush()
                self.assertEqual(file.read(1 << 12), data[begin:begin + (1 << 12)])
        for client in clients:
            client.close()
        self.assertEqual(self.ask(port, b'last'), b'last')
        self.assertIn('ended with', self.interrupt(process))

    def test_asyncio_main_loop(self):
        process, port = self.start('asyncio-main-loop.py')
        counts = [int(re.fullmatch(rb'hello you, GLib has counted to (\d+)\n', self.ask(port, b'you\n'))[1])
                  for unused in range(3)]
        self.assertEqual(counts, sorted(set(counts)))
        self.assertEqual(self.ask(port, b'quit\n'), b'')
        self.assertIn('the server was running', process.stdout.read())
        self.assertEqual(process.wait(), 0)

        process, port = self.start('asyncio-main-loop.py')
        self.assertIn('ended', self.interrupt(process))


if __name__ == '__main__':
    tap.main('')
