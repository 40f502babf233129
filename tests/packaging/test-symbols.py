#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Compares the exported symbols of the shared library with the recorded list. Prints TAP.

usage: test-symbols.py LIBRARY LIST [--update VERSION]

Each line of the list has a symbol and the version that added it. The test fails if a symbol is missing or
new. --update records new symbols. A symbol of a release must never be removed.
"""

import shutil
import subprocess
import sys


def exported(library):
    output = subprocess.run(['nm', '--dynamic', '--defined-only', library],
                            check=True, stdout=subprocess.PIPE, universal_newlines=True).stdout
    return sorted(line.split()[-1].split('@')[0] for line in output.splitlines())


def read(recorded):
    with open(recorded) as f:
        return [tuple(line.split()) for line in f]


def update(symbols, recorded, version):
    known = dict(read(recorded))
    with open(recorded, 'w') as f:
        f.writelines('%s %s\n' % (symbol, known.get(symbol, version)) for symbol in symbols)


def main():
    library, recorded = sys.argv[1:3]
    if not shutil.which('nm'):
        print('1..0 # SKIP missing tool: nm')
        return
    symbols = exported(library)

    if sys.argv[3:4] == ['--update']:
        update(symbols, recorded, sys.argv[4])
        return

    known = [symbol for symbol, version in read(recorded)]
    results = [
        ('all recorded symbols are exported', sorted(set(known) - set(symbols))),
        ('all exported symbols are recorded', sorted(set(symbols) - set(known))),
        ('only symbols of the library are exported', [s for s in symbols if not s.startswith('sel_')]),
        ('the list is sorted', [s for s, t in zip(known, sorted(known)) if s != t]),
    ]
    print('1..%d' % len(results))
    for number, (what, wrong) in enumerate(results, 1):
        print('%s %d %s' % ('not ok' if wrong else 'ok', number, what))
        for symbol in wrong:
            print('# ' + symbol)


main()
