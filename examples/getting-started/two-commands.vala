// SPDX-License-Identifier: LGPL-2.1-or-later

// Runs two commands and prints their output as soon as it arrives.

void start (Sel.BaseSelector selector, string name, string delay) throws Error {
    var script = @"for i in 1 2 3; do sleep $delay; echo line $$i; done";
    var command = new Subprocess (SubprocessFlags.STDOUT_PIPE, "sh", "-c", script);
    selector.register_object (command.get_stdout_pipe (), Sel.EventMask.READ, name);
}

void show (Sel.BaseSelector selector, Sel.SelectorKey key) throws Error {
    var stream = (PollableInputStream) key.get_fileobj ();
    unowned var name = key.get_data ().get_string ();
    var text = new uint8[256];
    var n_read = stream.read_nonblocking (text);
    if (n_read > 0) {
        stdout.printf ("%s: %.*s", name, (int) n_read, (string) text);
    } else {
        stdout.printf ("%s is done\n", name);
        selector.unregister_object (key.get_fileobj ());
    }
}

void run () throws Error {
    var selector = Sel.default_selector_new ();
    start (selector, "slow", "0.2");
    start (selector, "quick", "0.1");
    while (selector.get_map ().get_size () > 0) {
        foreach (unowned var event in selector.select (Sel.WAIT_FOREVER))
            show (selector, event.get_key ());
    }
}

int main () {
    try {
        run ();
    } catch (Error error) {
        stderr.printf ("%s\n", error.message);
        return 1;
    }
    return 0;
}
