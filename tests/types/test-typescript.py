#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Checks Sel.d.ts, and the examples in JavaScript, with the TypeScript compiler. Prints TAP.

usage: test-typescript.py SOURCE_ROOT WORK_DIRECTORY

The compiler and the types of GLib come from the npm registry and are kept in the work directory.
"""

import json
import pathlib
import re
import shutil
import subprocess
import sys

OPTIONS = {
    'strict': True, 'noEmit': True, 'target': 'ES2022', 'lib': ['ES2022'], 'module': 'ESNext',
    'moduleResolution': 'bundler', 'types': [], 'skipLibCheck': False, 'allowJs': True, 'checkJs': True,
}

# The names that the program in the README expects.
README_NAMES = '''\
import Gio from 'gi://Gio?version=2.0';
import GLib from 'gi://GLib?version=2.0';
declare const socket: Gio.Socket;
declare const other: Gio.Socket;
declare function handle(fileobj: Gio.Socket, data: {any: string}, events: number): void;
'''

MISTAKES = {
    'a name that does not exist': 'new Sel.NoSuchSelector();',
    'a method that does not exist': 'new Sel.DefaultSelector().no_such_method();',
    'an async callback': 'new Sel.DefaultSelector().register_callback(0, Sel.EventMask.READ, async () => true);',
    'a string as events': "new Sel.DefaultSelector().register(0, 'read');",
}


def skip_all(reason):
    print('1..0 # SKIP ' + reason)
    sys.exit(0)


def run(work, *command):
    """Runs a program in the work directory. Returns its exit status and output."""
    done = subprocess.run(command, cwd=work, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
    return done.returncode, done.stdout.strip()


def install(source, work):
    """Installs the packages of package.json in the work directory, unless they are there already."""
    for tool in 'node', 'npm':
        if shutil.which(tool) is None:
            skip_all('missing tool: ' + tool)
    wanted = (source / 'tests/types/package.json').read_text()
    stamp = work / 'installed.json'
    if stamp.exists() and stamp.read_text() == wanted:
        return
    (work / 'package.json').write_text(wanted)
    status, output = run(work, 'npm', 'install', '--no-audit', '--no-fund', '--ignore-scripts', '--fetch-retries=1')
    if status != 0:
        print('# ' + output.replace('\n', '\n# '))
        skip_all('the npm registry did not provide the packages of tests/types/package.json')
    stamp.write_text(wanted)


def compile_files(source, work, files):
    """Returns the output of the compiler, which is empty if it found no mistake."""
    shared = [work / 'ambient.d.ts', source / 'tests/types/untyped.d.ts', source / 'introspection/gjs/types/Sel.d.ts']
    shutil.copy(source / 'tests/types/ambient.d.ts', work)
    config = {'compilerOptions': OPTIONS, 'files': [str(path) for path in shared + files]}
    (work / 'tsconfig.json').write_text(json.dumps(config))
    status, output = run(work, 'node', 'node_modules/typescript/bin/tsc', '--pretty', 'false', '-p', '.')
    return output if status == 0 or output else 'tsc failed without a message'


def readme_program(source):
    """Returns the program in the README with declarations of the names that it expects."""
    block = re.search(r'^```js\n(.*?)^```', (source / 'README.md').read_text(), re.DOTALL | re.MULTILINE)
    return README_NAMES + block.group(1)


def check_good(source, work):
    """Returns the complaints about each of the programs that have no mistake, by the name of its case."""
    folders = source / 'examples', source / 'docs/snippets'
    examples = [path for folder in folders for path in sorted(folder.rglob('*.js')) if "'gi://" in path.read_text()]
    (work / 'readme.ts').write_text(readme_program(source))
    programs = {'all-names.ts': source / 'tests/types/all-names.ts', 'README.md': work / 'readme.ts'}
    programs.update({path.name: path for path in examples})
    output = compile_files(source, work, list(programs.values()))
    cases = {name: [line for line in output.splitlines() if path.name in line.partition('(')[0]]
             for name, path in programs.items()}
    cases['Sel.d.ts'] = [line for line in output.splitlines() if line not in sum(cases.values(), [])]
    return cases


def check_mistakes(source, work):
    """Compiles programs with a mistake in the last line. Returns complaints about mistakes that were not found."""
    programs = [work / ('mistake-%d.ts' % number) for number in range(len(MISTAKES))]
    for program, line in zip(programs, MISTAKES.values()):
        program.write_text("import Sel from 'gi://Sel?version=1.0';\n" + line + '\n')
    output = compile_files(source, work, programs)
    return {name: [] if program.name + '(2,' in output else ['not found; the output was: ' + output]
            for name, program in zip(MISTAKES, programs)}


def main():
    source, work = (pathlib.Path(argument).resolve() for argument in sys.argv[1:])
    work.mkdir(parents=True, exist_ok=True)
    install(source, work)
    cases = {**check_good(source, work), **check_mistakes(source, work)}

    print('1..%d' % len(cases))
    for number, (name, complaints) in enumerate(cases.items(), 1):
        for line in complaints:
            print('# ' + line)
        print('%sok %d /typescript/%s' % ('not ' if complaints else '', number, name))
    return 1 if any(cases.values()) else 0


if __name__ == '__main__':
    sys.exit(main())
