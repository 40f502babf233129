// SPDX-License-Identifier: LGPL-2.1-or-later

import Gio from 'gi://Gio';
import Sel from 'gi://Sel?version=1.0';

// Reads the output of two commands. The main loop runs while the program waits.
async function show(/** @type {Sel.BaseSelector} */ selector) {
    for await (const events of selector) {
        for (const [key] of events) {
            const bytes = key.fileobj.read_bytes(256, null);

            if (bytes.get_size() > 0) {
                print(new TextDecoder().decode(bytes.toArray()).trimEnd());
            } else {
                print(`${key.data} is done`);
                selector.unregister(key.fileobj);
            }
        }
        if (selector.get_map()?.size === 0)
            selector.close();                       // this ends the outer loop
    }
}

const selector = new Sel.DefaultSelector();
for (const [name, script] of [['first', 'echo one'], ['second', 'sleep 0.2; echo two']]) {
    const command = Gio.Subprocess.new(['sh', '-c', script], Gio.SubprocessFlags.STDOUT_PIPE);
    const output = /** @type {Gio.InputStream} */ (command.get_stdout_pipe());

    selector.register(output, Sel.EventMask.READ, name);
}
await show(selector);
