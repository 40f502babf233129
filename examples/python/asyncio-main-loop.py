#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""asyncio and a GLib main loop in one thread: a GLib timer counts, and an asyncio server sends the count to clients.

usage: asyncio-main-loop.py [PORT]

In a GTK program, Gtk.Application.run() replaces main_loop.run().
"""

import argparse
import asyncio

import gi

gi.require_version('Sel', '1.0')
from gi.repository import GLib, Sel  # noqa: E402

INTERVAL = 10  # milliseconds


class Counter:
    """Counts in the main loop. A coroutine can wait until the count reaches a number."""

    def __init__(self) -> None:
        self.count = 0
        self.waiting: list[tuple[int, asyncio.Future[int]]] = []
        GLib.timeout_add(INTERVAL, self.tick)

    def tick(self) -> bool:
        self.count += 1
        for number, future in self.waiting:
            if number <= self.count and not future.done():
                future.set_result(self.count)
        self.waiting = [(number, future) for number, future in self.waiting if not future.done()]
        return GLib.SOURCE_CONTINUE

    async def reach(self, number: int) -> int:
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.waiting.append((number, future))
        return await future


async def serve(counter: Counter, port: int, main_loop: GLib.MainLoop) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = await reader.readline()
        if line.strip() == b'quit':
            main_loop.quit()
        else:
            count = await counter.reach(counter.count + 3)
            writer.write(b'hello %s, GLib has counted to %d\n' % (line.strip(), count))
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, '127.0.0.1', port)
    port = server.sockets[0].getsockname()[1]
    print('asyncio on the GLib main loop; Ctrl-C ends it. In another terminal try:')
    print('  echo you | nc 127.0.0.1 %d' % port)
    print('  echo quit | nc 127.0.0.1 %d' % port, flush=True)
    await server.serve_forever()


def parse_port() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('port', nargs='?', type=int, default=0, help='the port on 127.0.0.1; by default a free one')
    version = Sel.get_major_version(), Sel.get_minor_version(), Sel.get_micro_version()
    parser.add_argument('--version', action='version', version='sel-glib %d.%d.%d' % version)
    return int(parser.parse_args().port)


def main() -> None:
    main_loop = GLib.MainLoop()
    counter = Counter()
    with asyncio.Runner(loop_factory=Sel.asyncio.EventLoop) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, Sel.asyncio.EventLoop)
        server = loop.create_task(serve(counter, parse_port(), main_loop))
        try:
            with loop.running(main_loop.quit):
                main_loop.run()
        except KeyboardInterrupt:
            pass
        print('ended; the server was', 'running' if not server.done() else 'down')


if __name__ == '__main__':
    main()
