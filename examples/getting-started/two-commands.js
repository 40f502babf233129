// SPDX-License-Identifier: LGPL-2.1-or-later

// Runs two commands and prints their output as soon as it arrives.

import Gio from 'gi://Gio';
import Sel from 'gi://Sel?version=1.0';

/**
 * @param {Sel.BaseSelector} selector
 * @param {string} name
 * @param {number} delay
 */
function start(selector, name, delay) {
    const script = `for i in 1 2 3; do sleep ${delay}; echo line $i; done`;
    const command = Gio.Subprocess.new(['sh', '-c', script], Gio.SubprocessFlags.STDOUT_PIPE);
    const output = /** @type {Gio.InputStream} */ (command.get_stdout_pipe());
    selector.register(output, Sel.EventMask.READ, name);
}

/**
 * @param {Sel.BaseSelector} selector
 * @param {Sel.SelectorKey} key
 */
function show(selector, key) {
    const bytes = key.fileobj.read_bytes(256, null);
    if (bytes.get_size() > 0) {
        print(`${key.data}: ${new TextDecoder().decode(bytes.toArray()).trimEnd()}`);
    } else {
        print(`${key.data} is done`);
        selector.unregister(key.fileobj);
    }
}

const selector = new Sel.DefaultSelector();
start(selector, 'slow', 0.2);
start(selector, 'quick', 0.1);
while (selector.get_map()?.size) {
    for (const [key] of selector.select())
        show(selector, key);
}
selector.close();
