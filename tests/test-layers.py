#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Compares the #include lines of the library with the tables of docs/ARCHITECTURE.md. Prints TAP.

usage: test-layers.py SOURCE-DIRECTORY
"""

import os
import re
import sys

SUFFIXES = ('.c', '.h', '-private.h')
GENERATED = {'sel-enum-types.h', 'sel-version-numbers.h'}
SYNTAX = re.compile(r'/\*.*?\*/|"(?:\\.|[^"\\])*"', re.S)


def table(page, first_column):
    """Returns the rows, as lists of cells, of the table whose header begins with a word."""
    lines = iter(page.splitlines())
    for line in lines:
        if line.startswith('| %s |' % first_column):
            next(lines)
            break
    rows = []
    for line in lines:
        if not line.startswith('|'):
            break
        rows.append([cell.strip() for cell in line.strip('|').split('|')])
    return rows


def words(cell):
    return [word.strip() for word in cell.split(',')]


def without_comments(text):
    return SYNTAX.sub(lambda match: ' ' if match.group().startswith('/*') else match.group(), text)


class Library:
    def __init__(self, directory):
        self.files = {}
        for folder, _, names in sorted(os.walk(directory)):
            for name in sorted(names):
                if name.endswith(('.c', '.h')):
                    with open(os.path.join(folder, name)) as f:
                        self.files[name] = without_comments(f.read())

    def expand(self, name):
        """Returns the files that a name in the table stands for."""
        if name.endswith(('.c', '.h')):
            return [name] if name in self.files or name in GENERATED else []
        return [name + suffix for suffix in SUFFIXES if name + suffix in self.files or name + suffix in GENERATED]

    def includes(self):
        """Yields (file, '<' or '"', path) for each #include line with a header of the library."""
        for name, text in self.files.items():
            for bracket, path in re.findall(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', text, re.M):
                if os.path.basename(path).startswith('sel-'):
                    yield name, bracket, path


def check_table(library, layers):
    """every file is in the table once"""
    seen = {}
    for layer, names, _ in layers:
        for name in words(names):
            files = library.expand(name)
            if not files:
                yield '%s: there is no %s' % (layer, name)
            for file in files:
                if file in seen:
                    yield '%s is in the layers %s and %s' % (file, seen[file], layer)
                seen[file] = layer
    for file in set(library.files) - set(seen):
        yield '%s is in no layer' % file


def layer_of(library, layers):
    return {file: layer for layer, names, _ in layers for name in words(names) for file in library.expand(name)}


def check_order(library, layers):
    """no layer includes from one below"""
    known = []
    for layer, _, allowed in layers:
        known.append(layer)
        for other in words(allowed):
            if other not in known:
                yield '%s may not include from %s' % (layer, other)


def check_includes(library, layers):
    """a file includes from the layers that its row names"""
    home = layer_of(library, layers)
    allowed = {layer: words(cell) for layer, _, cell in layers}
    for name, _, path in library.includes():
        other = os.path.basename(path)
        if name in home and home.get(other) not in allowed[home[name]] and stem(name) != stem(other):
            yield '%s (%s) includes %s (%s)' % (name, home[name], other, home.get(other, 'unknown'))


def check_unused(library, layers):
    """what the table allows is made use of"""
    home = layer_of(library, layers)
    used = {(home[name], home.get(os.path.basename(path))) for name, _, path in library.includes() if name in home}
    for layer, _, cell in layers:
        for other in words(cell):
            if other != layer and (layer, other) not in used:
                yield '%s does not include from %s' % (layer, other)


def check_backends(library, layers):
    """no backend includes another"""
    home = layer_of(library, layers)
    for name, _, path in library.includes():
        other = os.path.basename(path)
        if home.get(name) == home.get(other) == 'backends' and stem(name) != stem(other):
            yield '%s includes %s' % (name, other)


def stem(name):
    return re.sub(r'(-private)?\.[ch]$', '', name)


def check_headers(library, layers):
    """installed headers include installed ones"""
    for name, bracket, path in library.includes():
        public = name.endswith('.h') and not name.endswith('-private.h')
        if public and (bracket != '<' or not path.startswith('sel-glib/') or path.endswith('-private.h')):
            yield '%s includes %s' % (name, path)
        if not public and bracket != '"':
            yield '%s includes <%s>' % (name, path)
        if os.path.basename(path) == 'sel-glib.h':
            yield '%s includes sel-glib.h' % name


def check_rooms(library, layers, rooms):
    """only the files of a room use its data"""
    homes = {member.strip('`'): words(cell) for member, cell in rooms}
    struct = re.search(r'^typedef struct\n\{([^}]*)\}\s*SelCore;', library.files['sel-core-private.h'], re.M)
    types = {member: name for name, member in re.findall(r'^  (Sel\w+) (\w+);', struct[1], re.M)}
    for name, text in library.files.items():
        used = re.findall(r'(?:\bcore|\bsel_core \([^()]*\))->(\w+)', text)
        used += [member for member in types if re.search(r'\b%s\b' % types[member], text)]
        for member in used:
            allowed = [file for home in homes.get(member, []) for file in library.expand(home)]
            if name not in allowed and (name != 'sel-core-private.h' or member not in types):
                yield '%s uses core->%s' % (name, member)
    for member in homes:
        if not any('core->' + member in text for text in library.files.values()):
            yield 'nothing uses core->' + member


def check_structs(library, layers, structs):
    """only the files of a room use the members of its structs"""
    for name, cell in structs:
        struct = name.strip('`')
        declared = re.compile(r'\b%s\s+\**(?:const )?(\w+)' % struct)
        homes = [file for home in words(cell) for file in library.expand(home)]
        values = {variable for text in library.files.values()
                  for variable in re.findall(r'^  %s (\w+);' % struct, text, re.M)}
        used = False
        for file, text in library.files.items():
            variables = set(declared.findall(text))
            for before, variable, operator, member in re.findall(r'(->|\.|\b)(?<!\w)(\w+)(?=(->|\.)(\w+))', text):
                if (variable in values and operator == '.') if before else variable in variables:
                    used = True
                    if file not in homes:
                        yield '%s uses %s of a %s' % (file, member, struct)
        if not used:
            yield 'nothing uses the members of a ' + struct


def check_room_tests(library, layers, rooms, programs):
    """every room has a unit test"""
    for room in rooms:
        for home in re.findall(r'`sel-([\w-]+)`', room[0]):
            if not any(program.startswith('test-%s.c' % home) for program in programs):
                yield 'there is no test-%s.c for the room %s' % (home, room[0])


def check_names(library, layers, names):
    """what only some layers may know"""
    home = layer_of(library, layers)
    for what, cell in names:
        found = False
        for name, text in library.files.items():
            if re.search(r'(?<![\w/])%s(?!\w)' % re.escape(what), text):
                found = True
                if home.get(name) not in words(cell):
                    yield '%s (%s) mentions %s' % (name, home.get(name), what)
        if not found:
            yield 'nothing mentions ' + what


ATOMIC = re.compile(r"""\b(?:
    g_atomic_(?:int|pointer)_\w+ \s \(&?((?:\([^()]*\)|[^(),])+)[,)] |
    __atomic_\w+ \s \(&?((?:\([^()]*\)|[^(),])+),\s [^;]*? __ATOMIC_(\w+))""", re.X)


def atomics(library):
    """Returns the names of atomic variables, the files that use them, and the memory orders."""
    found = {}
    for name, text in library.files.items():
        for operand, other, order in ATOMIC.findall(text):
            variable = re.findall(r'\w+', re.sub(r'\[.*?\]', '', operand or other))[-1]
            uses = found.setdefault(variable, (set(), set()))
            uses[0].add(stem(name))
            uses[1].add(order.lower() or 'seq_cst')
    return found


def check_atomics(library, layers, rows):
    """the table of atomic variables is that of the code"""
    known = {variable.strip('`'): (set(words(files)), set(words(orders))) for variable, files, orders, _ in rows}
    found = atomics(library)
    for variable in sorted(set(known) | set(found)):
        if known.get(variable) != found.get(variable):
            yield '%s: %s in the table, %s in the code' % tuple(
                [variable] + [' and '.join(', '.join(sorted(part)) for part in uses[variable])
                              if variable in uses else 'nothing' for uses in (known, found)])


def main():
    source = sys.argv[1]
    with open(os.path.join(source, 'docs', 'ARCHITECTURE.md')) as f:
        page = f.read()
    library = Library(os.path.join(source, 'sel-glib'))
    layers = table(page, 'layer')
    names = table(page, 'name')
    members = table(page, 'member')
    rooms = table(page, 'room')
    structs = table(page, 'struct')
    variables = table(page, 'variable')
    programs = os.listdir(os.path.join(source, 'tests'))
    cases = [(check, (library, layers)) for check in (
        check_table, check_order, check_includes, check_unused, check_backends, check_headers)]
    cases.append((check_names, (library, layers, names)))
    cases.append((check_rooms, (library, layers, members)))
    cases.append((check_structs, (library, layers, structs)))
    cases.append((check_room_tests, (library, layers, rooms, programs)))
    cases.append((check_atomics, (library, layers, variables)))

    print('1..%d' % (len(cases) + 1))
    for number, (check, arguments) in enumerate(cases, 1):
        wrong = list(check(*arguments))
        print('%s %d %s' % ('not ok' if wrong else 'ok', number, check.__doc__))
        for line in wrong:
            print('# ' + line)
    enough = (all(len(rows) > 5 for rows in (layers, names, members, rooms, structs, variables)) and
              len(list(library.includes())) > 50)
    print('%s %d the tables and the #include lines were found' % ('ok' if enough else 'not ok', len(cases) + 1))


main()
