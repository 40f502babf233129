#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Compares the tables of tests/README.md with the build files of the tests. Prints TAP.

usage: test-tests-page.py SOURCE-DIRECTORY
"""

import os
import re
import sys

# A list of names, or a dictionary with them as keys.
LIST = re.compile(r'^ *(\w*tests) \+?= ([\[{])(.*?)[\]}]$', re.M | re.S)
LOOP = re.compile(r'^( *)foreach (\w+)(?:, \w+)? : (\[[^]]*\]|\w+(?: \+ \w+)*)$(.*?)^\1endforeach$', re.M | re.S)
LITERAL = re.compile(r"^ *(?:test|benchmark)\('([\w-]+)',", re.M)


class Programs:
    """The names of the tests in the build files, and the names that the page must not miss."""

    def __init__(self, source):
        self.names = set()
        self.checks = set()
        self.programs = set()
        tests = os.path.join(source, 'tests')
        for folder, folders, files in os.walk(tests):
            folders.sort()
            if 'meson.build' in files:
                self.read(os.path.join(folder, 'meson.build'), folder == tests)
        self.read(os.path.join(source, 'docs', 'meson.build'), False)

    def read(self, path, is_main):
        with open(path) as f:
            text = f.read()
        lists = {}
        for name, bracket, body in LIST.findall(text):
            lists.setdefault(name, []).extend(
                re.findall(r"'([\w-]+)'" if bracket == '[' else r"^ *'([\w-]+)':", body, re.M))
        if is_main:
            self.programs = set(lists.get('tests', []) + lists.get('build_tree_tests', []))
        for _, variable, values, body in LOOP.findall(text):
            names = (re.findall(r"'([\w-]+)'", values) if values.startswith('[')
                     else [name for part in values.split(' + ') for name in lists.get(part, [])])
            call = re.compile(r"\btest\((?:'([\w-]+)' \+ )?%s,|\bexecutable\('(fuzz-)' \+ %s," % (variable, variable))
            for groups in call.findall(body):
                prefix = ''.join(groups)
                found = {prefix + name for name in names}
                self.names |= found
                if prefix == 'check-':
                    self.checks |= found
        self.names.update(LITERAL.findall(text))


def rows(page):
    """Returns the first cells of the tables of programs, and those of the table of directories."""
    programs = []
    directories = []
    cells = None
    for line in page.splitlines():
        if re.match(r'\| (program|check|test) \|', line):
            cells = programs
        elif line.startswith('| directory |'):
            cells = directories
        elif not line.startswith('|'):
            cells = None
        elif cells is not None and not line.startswith('|---'):
            cells.append(line.split('|')[1].strip().strip('`'))
    return programs, directories


def difference(page, tree):
    for name in sorted(set(tree) - set(page)):
        yield '%s has no row in tests/README.md' % name
    for name in sorted(set(page) - set(tree)):
        yield 'tests/README.md has a row for %s, which does not exist' % name
    for name in sorted({name for name in page if page.count(name) > 1}):
        yield 'tests/README.md has several rows for %s' % name


def main():
    source = sys.argv[1]
    tests = os.path.join(source, 'tests')
    with open(os.path.join(tests, 'README.md')) as f:
        programs, directories = rows(f.read())
    with open(os.path.join(tests, 'checks.sh')) as f:
        functions = re.findall(r'^check_(\w+) \(\)$', f.read(), re.M)
    tree = Programs(source)
    folders = [name + '/' for name in os.listdir(tests)
               if os.path.isdir(os.path.join(tests, name)) and not name.startswith(('.', '__'))]

    results = [
        ('every program has a row, and every row a program', list(difference(programs, tree.names))),
        ('every check of checks.sh has a row, and every row a check',
         list(difference([name for name in programs if name.startswith('check-')],
                         ['check-' + name.replace('_', '-') for name in functions]))),
        ('every directory has a row, and every row a directory', list(difference(directories, folders))),
        ('the tests and the checks were found in the build files',
         [] if len(tree.programs) > 15 and tree.programs < tree.names and len(tree.checks) > 8
         else ['%d programs, %d checks' % (len(tree.programs), len(tree.checks))]),
    ]

    print('1..%d' % len(results))
    for number, (name, wrong) in enumerate(results, 1):
        print('%s %d %s' % ('not ok' if wrong else 'ok', number, name))
        for line in wrong:
            print('# ' + line)


main()
