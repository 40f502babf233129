#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Builds a wheel, installs it in a virtual environment, and uses it there. Needs no network. Prints TAP.

usage: test-pip.py SOURCE-DIRECTORY
"""

import glob
import importlib.util
import os
import re
import shutil
import sys
import tempfile
import zipfile

import packages
from packages import report

SOURCE = os.path.abspath(sys.argv[1])
# Patterns of the files in the wheel. The accelerator is optional.
FILES = [r'sel-glib\.pth', r'sel_glib/__init__\.py', r'sel_glib/libsel-glib-1\.0\.so\.0', r'sel_glib/Sel-1\.0\.typelib',
         r'gi/overrides/Sel\.py', r'gi/overrides/sel_asyncio\.py']
OPTIONAL = [r'gi/overrides/sel_accelerator\.[\w.-]+\.so', r'sel_glib-[\w.]+\.dist-info/.*']
PROGRAM = '''
import os
import gi
gi.require_version('Sel', '1.0')
from gi.repository import GLib, Sel

reader, writer = os.pipe()
selector = Sel.DefaultSelector()
selector.register(reader, Sel.EVENT_READ, 'data')
os.write(writer, b'1')
[(key, events)] = selector.select(0)
assert (key.fd, key.data, events) == (reader, 'data', Sel.EVENT_READ)
selector.close()


async def main():
    return 'result'


assert Sel.asyncio.run(main()) == 'result'
with open('/proc/self/maps') as f:
    print('\\n'.join(sorted({line.split()[-1] for line in f if 'libsel-glib' in line})))
'''


def run(*command, **options):
    """Runs a command outside of the sources, without the variables that let it find this build."""
    env = {name: value for name, value in os.environ.items()
           if name not in ('GI_TYPELIB_PATH', 'LD_LIBRARY_PATH', 'PYTHONPATH', 'PYTHONHOME')}
    return packages.run(*command, env=dict(env, PIP_NO_INPUT='1', PIP_DISABLE_PIP_VERSION_CHECK='1'), **options)


def version_in(name):
    with open(os.path.join(SOURCE, name)) as f:
        return re.search(r"^ *version(?:: | = )'(.*)'", f.read(), re.M).group(1)


def build_wheel(top):
    """Builds the wheel from a copy of the sources, because the build writes there."""
    tree = os.path.join(top, 'sources')
    packages.copy_sources(SOURCE, tree)
    status, lines = run(sys.executable, '-m', 'pip', 'wheel', '--no-build-isolation', '--no-index', '--no-deps',
                        '--no-cache-dir', '--wheel-dir', top, tree, cwd=top)
    return lines if status != 0 else []


def check_files(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    wrong = ['missing: ' + pattern for pattern in FILES if not any(re.fullmatch(pattern, name) for name in names)]
    return wrong + ['not expected: ' + name for name in names
                    if not any(re.fullmatch(pattern, name) for pattern in FILES + OPTIONAL)]


def check_program(top, python):
    """Runs a program in the environment. It must load the library of the environment, not an installed one."""
    path = os.path.join(top, 'program.py')
    with open(path, 'w') as f:
        f.write(PROGRAM)
    status, lines = run(python, path, cwd=top)
    ok = status == 0 and len(lines) == 1 and lines[0].startswith(os.path.realpath(os.path.dirname(python)).rsplit('/', 1)[0])
    return [] if ok else lines or ['no library is loaded']


def check_uninstall(environment, python):
    status, lines = run(python, '-m', 'pip', 'uninstall', '--yes', 'sel-glib', cwd=environment)
    left = [path for path in glob.glob(os.path.join(environment, 'lib*', '**'), recursive=True)
            if re.search(r'/(sel[-_]|gi/|Sel)', path[len(environment):])]
    return lines if status != 0 else left


def missing_tools():
    missing = [name for name in ('gi', 'mesonpy', 'pip', 'venv', 'ensurepip') if not importlib.util.find_spec(name)]
    return missing + [name for name in ('g-ir-scanner', 'meson') if not shutil.which(name)]


def main():
    missing = missing_tools()
    if missing:
        print('1..0 # SKIP missing tool: ' + ', '.join(missing))
        return
    print('1..6')
    expected = version_in('meson.build').replace('~', '')
    found = version_in('pyproject.toml')
    report(1, 'pip is told the version of the library', [] if found == expected else [found + ' for ' + expected])
    with tempfile.TemporaryDirectory(prefix='sel-glib-pip-') as top:
        lines = build_wheel(top)
        wheels = glob.glob(os.path.join(top, '*.whl'))
        report(2, 'the wheel is built', lines)
        report(3, 'the wheel has the library, the typelib and the override', check_files(wheels[0]) if wheels else lines)
        environment = os.path.join(top, 'environment')
        python = os.path.join(environment, 'bin', 'python')
        status, lines = run(sys.executable, '-m', 'venv', '--system-site-packages', environment)
        if status == 0:
            status, lines = run(python, '-m', 'pip', 'install', '--no-index', *wheels, cwd=top)
        report(4, 'the wheel is installed in a virtual environment', lines if status != 0 else [])
        report(5, 'programs find it there', check_program(top, python))
        report(6, 'uninstalling removes it', check_uninstall(environment, python))


main()
