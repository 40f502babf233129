#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs all benchmarks, prints the results as Markdown, and draws plots.

Times are ratios to a bare epoll loop that does the same work at the same moment: the median, and the
quartiles in brackets. The other figures do not depend on the load of the machine.
"""

import argparse
import collections
import json
import os
import pathlib
import platform
import re
import resource
import shutil
import subprocess
import sys
import tempfile

import plot

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BARE = "epoll"


class Results:
    def __init__(self):
        self.ratios = collections.defaultdict(dict)       # work → contestant → quartiles
        self.times = collections.defaultdict(dict)        # … → nanoseconds for one unit
        self.counts = {mode: collections.defaultdict(dict)
                       for mode in ("syscalls", "allocations", "instructions")}
        self.memory = collections.defaultdict(dict)       # limit → contestant → bytes
        self.languages = []
        self.missing = []
        self.units = {}

    def miss(self, *words):
        text = ": ".join(word for word in words if word)
        if text not in self.missing:
            self.missing.append(text)

    def take(self, lines, memory_key=None):
        for line in lines:
            kind, *columns = line.split("\t")
            if kind == "missing":
                self.miss(*columns)
            elif kind == "time":
                work, contestant, unit, *numbers = columns
                low, middle, high, time = map(float, numbers)
                self.ratios[work][contestant] = (low, middle, high)
                self.times[work][contestant] = time
                self.units[work] = unit
            elif kind in self.counts:
                work, contestant, unit, number = columns
                self.counts[kind][work][contestant] = float(number)
                self.units[work] = unit
            elif kind == "memory":
                _n, contestant, one_more, first = columns
                self.memory[memory_key][contestant] = (float(one_more), float(first))
            else:
                self.languages.append((kind, *columns))


def run(command, **options):
    environment = dict(os.environ, **options.pop("environment", {}))
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=environment, check=False, **options)
    if done.returncode != 0:
        return ["missing\t\t%s\tit failed" % pathlib.Path(command[0]).name]
    return done.stdout.splitlines()


def measure_instructions(results, program):
    if shutil.which("valgrind") is None:
        results.miss("instructions", "valgrind is missing")
        return
    with tempfile.TemporaryDirectory() as directory:
        results.take(run(["valgrind", "--quiet", "--tool=callgrind", "--instr-atstart=no",
                          "--callgrind-out-file=out", program, "--mode", "instructions"],
                         cwd=directory, stderr=subprocess.DEVNULL))
        for path in pathlib.Path(directory).iterdir():
            text = path.read_text()
            label = re.search(r"^desc: Trigger: Client Request: (.*)$", text, re.M)
            if label is not None:
                work, contestant, unit, n_units = label[1].split("\t")
                total = int(re.search(r"^totals: (\d+)$", text, re.M)[1])
                results.counts["instructions"][work][contestant] = total / int(n_units)
                results.units[work] = unit


def measure_memory(results, program):
    limits = sorted({1024, resource.getrlimit(resource.RLIMIT_NOFILE)[1]})
    for limit in limits:
        results.take(run([program, "--mode", "memory", "--registered", "500", "--files", str(limit)],
                         environment={"G_SLICE": "always-malloc"}), ("limit", limit))
    results.take(run([program, "--mode", "memory"], environment={"G_SLICE": "always-malloc"}), "many")


def measure_languages(results, build):
    environment = {
        "GI_TYPELIB_PATH": str(build / "introspection"),
        "LD_LIBRARY_PATH": str(build / "sel-glib"),
        "PYTHONPATH": "%s:%s" % (ROOT / "introspection" / "python", build / "introspection" / "python"),
        "GJS_PATH": str(ROOT / "introspection" / "gjs"),
    }
    python = "/usr/bin/python3" if os.access("/usr/bin/python3", os.X_OK) else sys.executable
    results.take(run([python, str(HERE / "from-python.py")], environment=environment))

    if shutil.which("gjs") is None:
        results.miss("JavaScript", "gjs is missing")
        return
    if not hasattr(os, "eventfd"):
        results.miss("JavaScript", "Python's os.eventfd() is missing")
        return
    idle = [os.eventfd(0) for _ in range(300)]
    ready = [os.eventfd(1) for _ in range(300)]
    results.take(run(["gjs", "-m", str(HERE / "from-javascript.js"), *map(str, idle), "-", *map(str, ready)],
                     environment=environment, pass_fds=idle + ready))
    for fd in idle + ready:
        os.close(fd)


# --- Output ---

def table(header, rows):
    lines = ["| %s |" % " | ".join(header), "|%s" % ("---|" * len(header))]
    lines += ["| %s |" % " | ".join(row) for row in rows]
    return "\n".join(lines)


def number(value):
    if value is None:
        return "–"
    if value >= 1000:
        return "{:,.0f}".format(value)
    return "%.3g" % value if value < 10 else "%.0f" % value


def ratio(quartiles):
    low, middle, high = quartiles
    digits = 2 if middle < 100 else 0
    return "%.*f (%.*f – %.*f)" % (digits, middle, digits, low, digits, high)


def cpu_name():
    try:
        text = pathlib.Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.machine()
    name = re.search(r"^model name\s*:\s*(.*)$", text, re.M)
    return name[1] if name else platform.machine()


def summary(results):
    """Returns a table with one row for each work and one column for each library."""
    columns = [BARE, "sel-glib array, epoll", "sel-glib list, epoll", "epoll in a source", "sel-glib source, epoll",
               "sel-glib callbacks, epoll", "GLib, a source per descriptor", "libevent", "libuv", "libev"]
    rows = []
    for work, ratios in results.ratios.items():
        rows.append([work, "%s ns" % number(results.times[work].get(BARE))]
                    + ["%.2f" % ratios[name][1] if name in ratios else "–" for name in columns[1:]])
    return table(["work, time per unit", *columns], rows)


def details(results):
    sections = []
    works = list(results.ratios)
    works += [work for work in results.counts["syscalls"] if work not in works]
    for work in works:
        unit = results.units[work]
        rows = []
        for contestant in results.ratios.get(work) or results.counts["syscalls"][work]:
            quartiles = results.ratios.get(work, {}).get(contestant)
            rows.append([
                contestant,
                ratio(quartiles) if quartiles else "–",
                number(results.times.get(work, {}).get(contestant)),
                *(number(results.counts[mode].get(work, {}).get(contestant))
                  for mode in ("instructions", "syscalls", "allocations")),
            ])
        sections.append("### %s\n\n%s" % (work, table(
            ["", "ratio", "ns per %s" % unit, "instructions", "system calls", "allocations"], rows)))
    return "\n\n".join(sections)


def memory_table(results):
    limits = [key for key in results.memory if key != "many"]
    rows = []
    for contestant, (one_more, first) in results.memory["many"].items():
        rows.append([contestant, number(one_more), *(
            "%s + %s" % tuple(number(value) for value in reversed(results.memory[key][contestant]))
            if contestant in results.memory[key] else "–" for key in limits)])
    return table(["", "bytes per descriptor, many registered",
                  *("500 registered, RLIMIT_NOFILE %d: first + each" % limit for _, limit in limits)], rows)


def language_tables(results):
    python = [row[1:] for row in results.languages if row[0] == "python"]
    javascript = [row[1:] for row in results.languages if row[0] == "javascript"]
    parts = []
    if python:
        parts.append("### Python: ratio to its own selectors.EpollSelector\n\n" + table(
            ["", "ratio", "ns"], [[work, ratio(tuple(map(float, numbers[:3]))), number(float(numbers[3]))]
                                  for work, *numbers in python]))
    if javascript:
        parts.append("### JavaScript\n\n" + table(
            ["", "ns", "quartiles"], [[work, number(float(middle)), "%s – %s" % (number(float(low)), number(float(high)))]
                                      for work, low, middle, high in javascript]))
    return "\n\n".join(parts)


def draw(results, directory):
    idle = {}
    for work, times in results.times.items():
        found = re.fullmatch(r"1 active, (\d+) idle", work)
        if found:
            idle[int(found[1])] = times
    shown = {
        "GLib, a source per descriptor": "GLib, a source per descriptor",
        "sel-glib callbacks, poll": "sel-glib callbacks, poll",
        "sel-glib array, poll": "sel-glib array, poll",
        "sel-glib callbacks, epoll": "sel-glib callbacks, epoll",
        "libuv": "libuv",
        "libevent": "libevent",
        "libev": "libev",
        "sel-glib array, epoll": "sel-glib array, epoll",
        BARE: "bare epoll loop",
    }
    series = {label: [(n, times[name]) for n, times in idle.items() if name in times]
              for name, label in shown.items()}
    series = {label: points for label, points in series.items() if points}
    if series:
        plot.lines(directory / "idle.svg", "Time to handle one ready descriptor", "number of idle descriptors", series)

    for work, file, title in (
            ("1 active socket, 10000 idle", "active.svg", "A turn with one active socket, 10,000 idle (bare epoll = 1)"),
            ("1000 of 1000 ready", "ready.svg", "1,000 of 1,000 ready, per event (bare epoll = 1)"),
            ("modify, 100 idle", "modify.svg", "Changing what is waited for (bare epoll = 1)")):
        values = [(name, quartiles[1]) for name, quartiles in results.ratios.get(work, {}).items()
                  if name != BARE]
        if values:
            plot.bars(directory / file, title, values, 2, mark=1)

    memory = [(name, bytes_[0]) for name, bytes_ in results.memory["many"].items() if name != BARE]
    if memory:
        plot.bars(directory / "memory.svg", "Heap bytes for each registered descriptor", memory, 0)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build", type=pathlib.Path, help="a build directory in which tests/benchmarks/compare was built")
    parser.add_argument("--output", type=pathlib.Path, help="where to put plots and tables")
    parser.add_argument("--rounds", default="41", help="how often to time each")
    arguments = parser.parse_args()

    build = arguments.build.resolve()
    program = str(build / "tests" / "benchmarks" / "compare")
    output = arguments.output or build / "benchmarks"
    output.mkdir(parents=True, exist_ok=True)

    results = Results()
    results.take(run([program, "--rounds", arguments.rounds]))
    for mode in ("syscalls", "allocations"):
        results.take(run([program, "--mode", mode]))
    measure_instructions(results, program)
    measure_memory(results, program)
    measure_languages(results, build)

    text = "\n\n".join(part for part in (
        "# Benchmarks",
        "%s, Linux %s, %d processors. Ratios are to a bare epoll loop in the same run." % (
            cpu_name(), platform.release().split("-")[0], os.cpu_count()),
        "## Time\n\n" + summary(results),
        "## In detail\n\n" + details(results),
        "## Memory\n\n" + memory_table(results),
        "## Languages\n\n" + language_tables(results) if results.languages else "",
        "## Missing\n\n" + "\n".join("* " + text for text in results.missing) if results.missing else "",
    ) if part)
    (output / "benchmarks.md").write_text(text + "\n")
    (output / "benchmarks.json").write_text(json.dumps({
        "ratios": results.ratios, "times": results.times, **results.counts,
        "memory": results.memory["many"], "languages": results.languages, "missing": results.missing,
    }, indent=1) + "\n")
    draw(results, output)
    print(text)
    print("\nTables and plots are in %s" % output, file=sys.stderr)


if __name__ == "__main__":
    main()
