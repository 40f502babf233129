#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Copies the results of `meson test --benchmark` into README.md and docs/benchmarks.xml, and the plots into docs/.

usage: update-figures.py BUILD-DIRECTORY

Run it after a benchmark on an idle machine with libevent, libuv and libev. It replaces the figures of the tables only.
Compare the sentences around them with the new figures.
"""

import html
import json
import pathlib
import re
import shutil
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
ARRAY, LIST, SOURCE = "sel-glib array, epoll", "sel-glib list, epoll", "epoll in a source"
CALLBACKS, GLIB = "sel-glib callbacks, epoll", "GLib, a source per descriptor"
LIBRARIES = ["libevent", "libuv", "libev"]
README_COLUMNS = [ARRAY, SOURCE, CALLBACKS, GLIB, *LIBRARIES]
TIME_COLUMNS = [ARRAY, LIST, SOURCE, CALLBACKS, GLIB, *LIBRARIES]
COUNT_COLUMNS = ["epoll", ARRAY, SOURCE, CALLBACKS, GLIB, *LIBRARIES]

# The first column of each row, and the measurement and the work in benchmarks.json.
README_ROWS = {
    "1 active socket, 10,000 idle": ("ratios", "1 active socket, 10000 idle"),
    "1 active eventfd, 10,000 idle": ("ratios", "1 active, 10000 idle"),
    "1,000 of 1,000 ready, per descriptor": ("ratios", "1000 of 1000 ready"),
    "register and unregister": ("ratios", "register + unregister, 100 idle"),
    "modify": ("ratios", "modify, 100 idle"),
    "heap bytes per descriptor": ("memory", None),
}
TIME_ROWS = {
    "1 active, 10 idle": ("ratios", "1 active, 10 idle"),
    "1 active, 10,000 idle": ("ratios", "1 active, 10000 idle"),
    "1 active socket, 10,000 idle": ("ratios", "1 active socket, 10000 idle"),
    "100 active, 900 idle": ("ratios", "100 active, 900 idle"),
    "1,000 of 1,000 ready": ("ratios", "1000 of 1000 ready"),
    "register and unregister": ("ratios", "register + unregister, 100 idle"),
    "modify": ("ratios", "modify, 100 idle"),
    "nothing is ready, no wait": ("ratios", "empty poll, 100 idle"),
    "start-up, with one descriptor": ("ratios", "start-up"),
}
COUNT_ROWS = {
    "instructions, 1 ready, 10,000 idle": ("instructions", "1 ready, 10000 idle"),
    "instructions for an event, 1,000 of 1,000 ready": ("instructions", "1000 of 1000 ready"),
    "instructions to modify": ("instructions", "modify, 100 idle"),
    "system calls in a turn": ("syscalls", "1 ready, 10000 idle"),
    "system calls to register and unregister": ("syscalls", "register + unregister, 100 idle"),
    "system calls to modify": ("syscalls", "modify, 100 idle"),
    "allocations in a turn": ("allocations", "1 ready, 10000 idle"),
    "heap bytes for a registered descriptor": ("memory", None),
}


def figure(results, measurement, work, contestant):
    found = results["memory"] if measurement == "memory" else results[measurement].get(work, {})
    if contestant not in found:
        return "–"
    value = found[contestant]
    if measurement == "memory":
        return "{:,.0f}".format(value[0])
    if measurement == "ratios":
        return "{:,.{}f}".format(value[1], 2 if value[1] < 100 else 0)
    return "{:,.0f}".format(value) if value >= 100 or measurement == "instructions" else "%.3g" % value


def replace(text, pattern, new):
    text, number = re.subn(pattern, lambda found: new, text, flags=re.S | re.M)
    if number != 1:
        sys.exit("%d rows instead of one match %s" % (number, pattern))
    return text


def update_readme(results):
    path = ROOT / "README.md"
    text = path.read_text()
    for label, (measurement, work) in README_ROWS.items():
        cells = [figure(results, measurement, work, name) for name in README_COLUMNS]
        text = replace(text, r"^\| %s \|[^\n]*$" % re.escape(label), "| %s |" % " | ".join([label, *cells]))
    path.write_text(text)


def update_manual(results):
    path = ROOT / "docs" / "benchmarks.xml"
    text = path.read_text()
    for rows, columns in ((TIME_ROWS, TIME_COLUMNS), (COUNT_ROWS, COUNT_COLUMNS)):
        for label, (measurement, work) in rows.items():
            cells = ["<entry>%s</entry>" % html.escape(figure(results, measurement, work, name)) for name in columns]
            lines = ["<entry>%s</entry>" % label, "".join(cells[:4]), "".join(cells[4:])]
            text = replace(text, r"(?<=<row>\n)            <entry>%s</entry>\n.*?(?=\n          </row>)" % re.escape(label),
                           "\n".join("            " + line for line in lines))
    path.write_text(text)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__.strip())
    directory = pathlib.Path(sys.argv[1]) / "benchmarks"
    results = json.loads((directory / "benchmarks.json").read_text())
    missing = [name for name in LIBRARIES if name not in results["memory"]]
    if missing:
        sys.exit("The benchmark was built without " + ", ".join(missing))
    update_readme(results)
    update_manual(results)
    for name in ("active", "idle", "memory", "ready"):
        shutil.copy(directory / (name + ".svg"), ROOT / "docs" / ("benchmark-%s.svg" % name))


main()
