#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Checks the sizes of source files and functions, and the homes of private declarations. Prints TAP.

usage: test-sizes.py SOURCE-DIRECTORY
"""

import os
import re
import sys

MAX_LINES = 700
MAX_FUNCTIONS = 40
MAX_FUNCTION_LINES = 50
MAX_TEST_LINES = 1200
MAX_COLUMNS = 120

FUNCTION = re.compile(r'^((?!#)\w[^\n;{}]*\n\w+ \([^;{}]*\)\n)(\{\n.*?^\})', re.M | re.S)
PROTOTYPE = re.compile(r'^(?!static|typedef|extern|#)\w[\w ]*[ *](sel_\w+) +\(', re.M)
COMMENT = re.compile(r'/\*.*?\*/', re.S)


def read_files(directory, endings):
    """Returns the texts of the files below a directory, by name."""
    texts = {}
    for folder, _, names in sorted(os.walk(directory)):
        for name in sorted(names):
            if name.endswith(endings):
                with open(os.path.join(folder, name), encoding='utf-8') as f:
                    texts[name] = f.read()
    return texts


def functions(text):
    """Yields (name, number of lines) for each function: from its return type to its closing brace."""
    for head, body in FUNCTION.findall(text):
        yield re.search(r'^(\w+) \(', head, re.M)[1], (head + body).count('\n') + 1


def room(name):
    """Returns the name of a file without its ending: sel-wait-private.h is of the room of sel-wait.c."""
    return re.sub(r'(-private)?\.[ch]$', '', name)


def check_lines(library, tests):
    """files of the library and of the tests are short"""
    for texts, limit in ((library, MAX_LINES), (tests, MAX_TEST_LINES)):
        for name, text in texts.items():
            n = len(text.splitlines())
            if n > limit:
                yield '%s has %d lines' % (name, n)


def check_functions(library, tests):
    """files of the library have few functions"""
    for name, text in library.items():
        n = len(list(functions(text)))
        if n > MAX_FUNCTIONS:
            yield '%s has %d functions' % (name, n)


def check_function_lines(library, tests):
    """functions of the library are short"""
    for name, text in library.items():
        for function, n in functions(text):
            if n > MAX_FUNCTION_LINES and not function.endswith('_class_init'):
                yield '%s: %s () has %d lines' % (name, function, n)


def check_columns(library, tests):
    """lines in C are short"""
    for texts in library, tests:
        for name, text in texts.items():
            for number, line in enumerate(text.splitlines(), 1):
                if name.endswith(('.c', '.h')) and len(line) > MAX_COLUMNS:
                    yield '%s:%d has %d columns' % (name, number, len(line))


def check_homes(library, tests):
    """a private header declares functions of its own source files only"""
    homes = {}
    for name, text in library.items():
        for function, _ in functions(text):
            homes.setdefault(function, set()).add(name)
    for name, text in library.items():
        if not name.endswith('-private.h'):
            continue
        for function in PROTOTYPE.findall(COMMENT.sub('', text)):
            if not any(room(home).startswith(room(name)) for home in homes.get(function, ())):
                yield '%s declares %s (), which is in %s' % (
                    name, function, ', '.join(sorted(homes.get(function, ['no file']))))


def main():
    source = sys.argv[1]
    library = {**read_files(os.path.join(source, 'sel-glib'), ('.c', '.h')),
               **read_files(os.path.join(source, 'introspection', 'python'), ('.c', '.h'))}
    tests = read_files(os.path.join(source, 'tests'), ('.c', '.h', '.py', '.js', '.vala'))
    checks = (check_lines, check_functions, check_function_lines, check_columns, check_homes)

    print('1..%d' % (len(checks) + 1))
    for number, check in enumerate(checks, 1):
        wrong = list(check(library, tests))
        print('%s %d %s' % ('not ok' if wrong else 'ok', number, check.__doc__))
        for line in wrong:
            print('# ' + line)
    n_functions = sum(len(list(functions(text))) for text in library.values())
    n_prototypes = sum(len(PROTOTYPE.findall(text)) for name, text in library.items() if name.endswith('-private.h'))
    enough = len(library) > 50 and len(tests) > 50 and n_functions > 500 and n_prototypes > 100
    print('%s %d the files and their functions were found' % ('ok' if enough else 'not ok', len(checks) + 1))
    print('# %d functions, %d declarations in private headers' % (n_functions, n_prototypes))


main()
