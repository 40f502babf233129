// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Measures the time that this library takes in JavaScript. Arguments: descriptors that are never ready, a dash,
// and descriptors that are always ready. Prints one line for each work, with tabs: the time of one unit in
// nanoseconds (quartiles and median).

import GLib from 'gi://GLib';
import Sel from 'gi://Sel?version=1.0';
import System from 'system';

const N_ROUNDS = 41;
const dash = ARGV.indexOf('-');
const idle = ARGV.slice(0, dash).map(Number);
const ready = ARGV.slice(dash + 1).map(Number);
const {READ, WRITE} = Sel.EventMask;

function quantile(values, fraction) {
    const sorted = [...values].sort((a, b) => a - b);
    return sorted[Math.round(fraction * (sorted.length - 1))];
}

function measure(name, run) {
    const times = [];
    let n = 1;

    for (let round = -1; round < N_ROUNDS;) {
        let nUnits = 0;
        const start = GLib.get_monotonic_time();
        for (let i = 0; i < n; i++)
            nUnits += run();
        const elapsed = GLib.get_monotonic_time() - start;

        if (round < 0 && elapsed < 2000) {
            n *= 2;
        } else {
            if (round >= 0)
                times.push(1000 * elapsed / nUnits);
            round++;
        }
    }

    print(['javascript', name, ...[0.25, 0.5, 0.75].map(f => quantile(times, f).toFixed(0))].join('\t'));
}

function measureSelect(nIdle, nReady) {
    const selector = new Sel.EpollSelector();

    for (const fd of [...idle.slice(0, nIdle), ...ready.slice(0, nReady)])
        selector.register(fd, READ);
    measure(`select, ${nReady} of ${nIdle + nReady} ready`, () => {
        selector.select(0);
        return 1;
    });
    selector.close();
}

if (Sel.DefaultSelector === undefined) {
    print('missing\t\tJavaScript\tthe override for JavaScript is missing');
    System.exit(0);
}

measureSelect(100, 0);
measureSelect(100, 1);
measureSelect(100, 10);
measureSelect(300, 100);

const selector = new Sel.EpollSelector();
measure('register + unregister', () => {
    for (const fd of idle.slice(0, 100))
        selector.register(fd, READ);
    for (const fd of idle.slice(0, 100))
        selector.unregister(fd);
    return 100;
});
for (const fd of ready.slice(0, 100))
    selector.register(fd, READ);
measure('modify', () => {
    for (const events of [WRITE, READ]) {
        for (const fd of ready.slice(0, 100))
            selector.modify(fd, events);
    }
    return 200;
});
selector.close();
