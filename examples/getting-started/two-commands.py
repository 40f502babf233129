#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs two commands and prints their output as soon as it arrives."""

import os
import selectors
import subprocess

import gi

gi.require_version('Sel', '1.0')
from gi.repository import Sel


def start(selector: Sel.BaseSelector, name: str, delay: float) -> None:
    script = f'for i in 1 2 3; do sleep {delay}; echo line $i; done'
    command = subprocess.Popen(['sh', '-c', script], stdout=subprocess.PIPE)
    assert command.stdout is not None
    os.set_blocking(command.stdout.fileno(), False)
    selector.register(command.stdout, Sel.EVENT_READ, data=(name, command))


def show(selector: Sel.BaseSelector, key: selectors.SelectorKey) -> None:
    name, command = key.data
    text = os.read(key.fd, 256).decode()
    if text:
        print(f'{name}: {text}', end='', flush=True)
    else:
        print(f'{name} is done', flush=True)
        selector.unregister(key.fileobj)
        command.communicate()


with Sel.DefaultSelector() as selector:
    start(selector, 'slow', 0.2)
    start(selector, 'quick', 0.1)
    while selector.get_map():
        for key, events in selector.select():
            show(selector, key)
