#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs the samples of code in the README and in the manual. Prints TAP.

A sample is a part of a program. Here is the rest of it: what comes before the sample, and what comes after it. A sample
that has no rest here is an error.

usage: test-samples.py SOURCE-DIRECTORY
"""

import html
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

# By the number of the sample among those of its language in its file.
# The first one in C is examples/hello.c; see examples/check-readme.sh.
C_BEFORE = '''
#include <glib-unix.h>
#include <sel-glib/sel-glib.h>

typedef struct { int fd; GMainLoop *loop; gboolean is_freed; } Connection;

static gboolean
connection_read (Connection *connection)
{
  char byte;

  g_assert_cmpint (read (connection->fd, &byte, 1), ==, 1);
  g_main_loop_quit (connection->loop);
  return FALSE;
}

static void
connection_free (gpointer connection)
{
  ((Connection *) connection)->is_freed = TRUE;
}
'''

C_MAIN = '''
int
main (void)
{
  Connection kept = { -1, g_main_loop_new (NULL, FALSE), FALSE };
  Connection *connection = &kept;
  SelBaseSelector *selector;
  GError *error = NULL;
  int fds[2], fd;

  g_unix_open_pipe (fds, FD_CLOEXEC, NULL);
  kept.fd = fd = fds[0];
  g_assert_cmpint (write (fds[1], "!", 1), ==, 1);
'''

C_AFTER = '''
  g_assert_no_error (error);
  g_main_loop_run (kept.loop);
  g_assert_true (kept.is_freed);
  return 0;
}
'''

C_ATTACH_MAIN = '''
static gboolean
func_for_the_others (SelBaseSelector *selector, SelSelectorKey *key, SelEventMask events, gpointer user_data)
{
  sel_base_selector_close (selector);
  return G_SOURCE_REMOVE;
}

int
main (void)
{
  GError *error = NULL;
  SelBaseSelector *selector = sel_default_selector_new (&error);
  int fds[2];

  g_unix_open_pipe (fds, FD_CLOEXEC, NULL);
  sel_base_selector_register (selector, fds[1], SEL_EVENT_WRITE, NULL, NULL, &error);
  g_assert_no_error (error);
'''

C_ATTACH_AFTER = '''
  while (!sel_base_selector_is_closed (selector))
    g_main_context_iteration (NULL, TRUE);
  return 0;
}
'''

JS_BEFORE = '''
import Gio from 'gi://Gio';
import GLib from 'gi://GLib';

const newSocket = () => {
    const socket = Gio.Socket.new(Gio.SocketFamily.IPV4, Gio.SocketType.DATAGRAM, Gio.SocketProtocol.DEFAULT);
    socket.bind(Gio.InetSocketAddress.new_from_string('127.0.0.1', 0), false);
    socket.send_to(socket.local_address, 'x', null);
    return socket;
};
const socket = newSocket(), other = newSocket();
const handled = [];

function handle(fileobj, data, events) {
    if (fileobj !== socket || data.any !== 'value' || events !== 1)
        throw new Error('wrong arguments');
    if (handled.push(fileobj) === 4)
        selector.close();
}
'''

JS_AFTER = '''
if (handled.length !== 4)
    throw new Error(`${handled.length} events`);
if (inLoop.get_key(other).fd !== other.get_fd())
    throw new Error('not registered');
inLoop.close();
'''

PYTHON_BEFORE = '''
import socket

sock, peer = socket.socketpair()
other, its_peer = socket.socketpair()
peer.send(b'x')
its_peer.send(b'x')
data = object()

def handle(fileobj):
    global handled
    handled = fileobj.recv(1)
'''

PYTHON_AFTER = '''
assert (key.fileobj, key.data, events) == (sock, data, Sel.EVENT_READ)
while in_loop.get_map():
    GLib.MainContext.default().iteration(True)
assert handled == b'x'
'''

PYTHON_APP = '''
import asyncio
import gi
gi.require_version('Sel', '1.0')
from gi.repository import GLib, Sel

class Application:
    def __init__(self):
        self.loop = GLib.MainLoop()
        self.quit = self.loop.quit

    def run(self):
        GLib.idle_add(self.activate)
        self.loop.run()

    def activate(self):
        self.task = asyncio.create_task(self.work())

    async def work(self):
        await asyncio.sleep(0)
        self.quit()

async def main():
    await asyncio.sleep(0)

app = Application()
'''

PYTHON_TIMEOUT_AFTER = '''
Sel.asyncio.run(timeout(1))
'''

# File, language, and for each sample: a name, the first line that is in main (), and the texts around it.
SAMPLES = {
    ('README.md', 'c'): [
        None,
        ('register_callback ()', 'selector = sel_main_context_get_selector', C_BEFORE, C_MAIN, C_AFTER),
        ('attach ()', 'sel_base_selector_attach', C_BEFORE.split('typedef')[0], C_ATTACH_MAIN, C_ATTACH_AFTER),
    ],
    ('README.md', 'js'): [('waiting and callbacks', None, JS_BEFORE, '', JS_AFTER)],
    ('README.md', 'python'): [
        ('waiting and callbacks', None, PYTHON_BEFORE, '', PYTHON_AFTER),
        ('asyncio', None, PYTHON_APP, '', ''),
    ],
    ('docs/asyncio.xml', 'python'): [
        ('asyncio runs the loop', None, '', '', ''),
        ('the application runs the loop', None, PYTHON_APP, '', ''),
        ('a callback sets a future', None, PYTHON_APP, '', PYTHON_TIMEOUT_AFTER),
    ],
    ('docs/vala.xml', 'vala'): [('an asynchronous method', None, '', '', '')],
}

PYTHON = sys.executable
HERE = os.path.dirname(os.path.abspath(__file__))


def samples_of(text, is_xml):
    """Returns the samples of a file, as pairs of language and text. Those that are included are in files of their own."""
    if is_xml:
        found = re.findall(r'<programlisting language="(\w+)">(.*?)</programlisting>', text, re.DOTALL)
        return [(language, html.unescape(sample)) for language, sample in found if '<xi:include' not in sample]
    return re.findall(r'^```(\w+)\n(.*?)^```$', text, re.DOTALL | re.MULTILINE)


def has_gi():
    return subprocess.run([PYTHON, '-c', 'import gi'], stderr=subprocess.DEVNULL).returncode == 0


def missing(language, sample):
    """Returns what a sample needs and is not there."""
    tools = {'c': shlex.split(os.environ.get('CC', 'cc'))[0], 'js': 'gjs', 'vala': 'valac'}
    if language in tools and shutil.which(tools[language]) is None:
        return 'tool: ' + tools[language]
    if language == 'python' and not has_gi():
        return 'tool: PyGObject for ' + PYTHON
    if 'asyncio.Runner' in sample and sys.version_info < (3, 11):
        return 'asyncio.Runner of Python 3.11'
    return None


def program_of(sample, rest):
    unused, first_in_main, before, main, after = rest
    place = sample.index(first_in_main) if first_in_main else 0
    return before + sample[:place] + main + sample[place:] + after


def run(language, program, work):
    """Runs a program. Returns the lines that it prints if it fails."""
    path = os.path.join(work, 'sample.' + {'python': 'py'}.get(language, language))
    with open(path, 'w', encoding='utf-8') as file:
        file.write(program)
    if language == 'c':
        flags = subprocess.run([*shlex.split(os.environ.get('PKG_CONFIG', 'pkg-config')), '--cflags', '--libs',
                                'sel-glib-1.0', 'gio-unix-2.0'], stdout=subprocess.PIPE, text=True, check=True).stdout
        binary = os.path.join(work, 'sample')
        commands = [[*shlex.split(os.environ.get('CC', 'cc')), '-Wall', '-Werror', path, '-o', binary, *flags.split()],
                    [binary]]
    elif language == 'vala':
        binary = os.path.join(work, 'sample-vala')
        commands = [[os.path.join(HERE, 'vala', 'compile.sh'), path, binary], [binary]]
    else:
        commands = [{'js': ['gjs', '-m'], 'python': [PYTHON]}[language] + [path]]
    for command in commands:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode != 0:
            return ['status %d' % done.returncode, *done.stdout.splitlines()]
    return []


def main():
    source = sys.argv[1]
    results = []
    files = ['README.md'] + ['docs/' + name for name in sorted(os.listdir(os.path.join(source, 'docs')))
                             if name.endswith('.xml')]
    with tempfile.TemporaryDirectory() as work:
        for path in files:
            with open(os.path.join(source, path), encoding='utf-8') as file:
                found = samples_of(file.read(), path.endswith('.xml'))
            for language in sorted({language for language, unused in found} & {'c', 'js', 'javascript', 'python', 'vala'}):
                samples = [sample for its_language, sample in found if its_language == language]
                rests = SAMPLES.get((path, language), [])
                results.append(('%s has %d samples in %s' % (path, len(rests), language),
                                [] if len(samples) == len(rests) else ['found: %d' % len(samples)]))
                for sample, rest in zip(samples, rests):
                    if rest is None:
                        continue
                    name = '%s: %s (%s)' % (path, rest[0], language)
                    lack = missing(language, sample)
                    if lack:
                        results.append((name + ' # SKIP missing ' + lack, []))
                    else:
                        results.append((name, run(language, program_of(sample, rest), work)))

    print('1..%d' % len(results))
    for number, (name, wrong) in enumerate(results, 1):
        print('%s %d %s' % ('not ok' if wrong else 'ok', number, name))
        for line in wrong:
            print('# ' + line)
    return 1 if any(wrong for unused, wrong in results) else 0


if __name__ == '__main__':
    sys.exit(main())
