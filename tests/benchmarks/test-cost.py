#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Checks the costs of the library: system calls, allocations, memory and instructions, but not time.

The program compare counts them; the expected figures are in figures.json. A figure may be lower than
expected. Instructions depend on the compiler, so there is a list for each compiler that was tried. --record
writes the list for this build.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

FIGURES = pathlib.Path(__file__).with_name("figures.json")
TOLERANCE = 0.10


class Program:
    def __init__(self, path):
        self.path = os.path.abspath(path)

    def run(self, mode, *arguments, wrapper=(), cwd=None):
        """Returns the lines of the output, split at their tabs."""
        environment = dict(os.environ, G_SLICE="always-malloc", MALLOC_PERTURB_="0")
        output = subprocess.run([*wrapper, self.path, "--mode", mode, *arguments], cwd=cwd, check=True,
                                env=environment, stdout=subprocess.PIPE, text=True).stdout
        return [line.split("\t") for line in output.splitlines()]

    def count(self, mode, work, contestant):
        """Returns the cost of one unit of a work, or the reason why it is unknown."""
        for kind, *columns in self.run(mode, "--work", work, "--contestant", contestant):
            if columns[:2] == [work, contestant] and kind == mode:
                return float(columns[3]), None
            if kind == "missing" and columns[0] == work and columns[1] in ("", contestant):
                return None, columns[2]
        return None, "it was not measured"

    def instructions(self, work, contestant):
        with tempfile.TemporaryDirectory() as directory:
            self.run("instructions", "--work", work, "--contestant", contestant, cwd=directory,
                     wrapper=["valgrind", "--quiet", "--tool=callgrind", "--instr-atstart=no",
                              "--callgrind-out-file=out"])
            for path in pathlib.Path(directory).iterdir():
                text = path.read_text()
                label = re.search(r"^desc: Trigger: Client Request: (.*)$", text, re.M)
                if label is None:
                    continue
                name, who, _unit, n_units = label[1].split("\t")
                if (name, who) == (work, contestant):
                    return int(re.search(r"^totals: (\d+)$", text, re.M)[1]) / int(n_units)
        return None

    def memory(self, contestant, n, limit):
        """Returns the bytes for each additional descriptor, and for the selector with the first descriptor."""
        for kind, *columns in self.run("memory", "--registered", str(n), "--files", str(limit),
                                       "--contestant", contestant):
            if kind == "memory" and columns[1] == contestant:
                return float(columns[2]), float(columns[3])
        return None


class Tap:
    def __init__(self):
        self.n_tests = 0

    def report(self, name, success, detail=""):
        self.n_tests += 1
        print("%sok %d %s" % ("" if success else "not ", self.n_tests, name))
        if detail:
            print("# " + detail)
        sys.stdout.flush()

    def skip(self, name, reason):
        self.n_tests += 1
        print("ok %d %s # SKIP %s" % (self.n_tests, name, reason))

    def plan(self):
        print("1..%d" % self.n_tests)


def check_counts(tap, program, mode, expected):
    for contestant, works in expected.items():
        for work, at_most in works.items():
            name = "%s: %s: %s" % (mode, contestant, work)
            count, reason = program.count(mode, work, contestant)
            if count is None:
                tap.skip(name, reason)
            else:
                tap.report(name, count <= at_most + 0.001, "%.3f, at most %.3f are expected" % (count, at_most))


def check_memory(tap, program, expected):
    for contestant, at_most in expected.items():
        low = program.memory(contestant, 500, 1000)
        high = program.memory(contestant, 500, 4000)
        tap.report("memory: %s" % contestant, low[0] <= at_most,
                   "%.1f bytes for a descriptor, at most %d are expected" % (low[0], at_most))
        tap.report("memory: %s: RLIMIT_NOFILE does not matter" % contestant, low == high, "%s, %s" % (low, high))


def check_instructions(tap, program, expected, compiler):
    reason = None
    if shutil.which("valgrind") is None:
        reason = "valgrind is missing"
    elif compiler not in expected:
        reason = "no figures are known for %s" % compiler

    if reason is not None:
        tap.skip("instructions", reason)
        return

    for contestant, works in expected[compiler].items():
        for work, figure in works.items():
            name = "instructions: %s: %s" % (contestant, work)
            count = program.instructions(work, contestant)
            if count is None:
                tap.skip(name, "built without valgrind/callgrind.h")
                return
            tap.report(name, count <= figure * (1 + TOLERANCE), "%.1f, %.1f are expected" % (count, figure))
            if count < figure * (1 - TOLERANCE):
                print("# that is less: record it")


def check_many(tap, program, works):
    for work, contestants in works.items():
        for contestant in contestants:
            name = "many: %s: %s" % (contestant, work)
            count, reason = program.count("syscalls", work, contestant)
            if count is None and "RLIMIT_NOFILE" in reason:
                tap.skip(name, reason)
            else:
                tap.report(name, count is not None, reason or "")


def record(program, figures, compiler):
    figures["instructions"][compiler] = {
        contestant: {work: round(program.instructions(work, contestant), 1) for work in works}
        for contestant, works in figures["instructions of"].items()
    }
    FIGURES.write_text(json.dumps(figures, indent=2) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program", help="the program that compares")
    parser.add_argument("compiler", help="what the library was built with")
    parser.add_argument("--record", action="store_true", help="take the instructions of this build as expected")
    arguments = parser.parse_args()

    program = Program(arguments.program)
    figures = json.loads(FIGURES.read_text())

    if arguments.record:
        record(program, figures, arguments.compiler)
        return

    tap = Tap()
    check_counts(tap, program, "syscalls", figures["syscalls"])
    check_counts(tap, program, "allocations", figures["allocations"])
    check_memory(tap, program, figures["memory"])
    check_many(tap, program, figures["many"])
    check_instructions(tap, program, figures["instructions"], arguments.compiler)
    tap.plan()


if __name__ == "__main__":
    main()
