#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Builds the RPM packages from a copy of the tree and checks their content. Prints TAP.

usage: test-rpm.py SOURCE-DIRECTORY

The build does not ask RPM for the packages that it needs, so it also works on systems that have others. It leaves out the
manual.
"""

import glob
import os
import re
import shutil
import sys
import tarfile
import tempfile

from packages import copy_sources, missing_files, report, run

SOURCE = os.path.abspath(sys.argv[1])
SPEC = os.path.join(SOURCE, 'rpm', 'sel-glib.spec')
NEEDED = ['gio-unix-2.0 >= 2.74', 'gobject-introspection-1.0', 'pygobject-3.0 >= 3.42', 'python3', 'vapigen']
# The packages, and patterns of the files that each one must contain.
CONTENTS = {
    'sel-glib': [r'.*/libsel-glib-1\.0\.so\.0', r'.*/girepository-1\.0/Sel-1\.0\.typelib', r'.*/gjs-1\.0/overrides/Sel\.js'],
    'sel-glib-devel': [r'.*/include/sel-glib-1\.0/sel-glib/sel-glib\.h', r'.*/libsel-glib-1\.0\.so',
                       r'.*/pkgconfig/sel-glib-1\.0\.pc', r'.*/gir-1\.0/Sel-1\.0\.gir', r'.*/vapi/sel-glib-1\.0\.vapi',
                       r'.*/sel-glib-1\.0/Sel\.d\.ts'],
    'python3-sel-glib': [r'.*/gi/overrides/Sel\.py', r'.*/gi/overrides/sel_accelerator\..*\.so',
                         r'.*/gi-stubs/repository/Sel\.pyi'],
}


def missing_tools():
    missing = [tool for tool in ('rpmbuild', 'rpm', 'meson', 'g-ir-scanner', 'vapigen') if not shutil.which(tool)]
    return missing + [name for name in NEEDED if run('pkg-config', '--exists', name)[0] != 0]


def version():
    with open(os.path.join(SOURCE, 'meson.build')) as f:
        return re.search(r"^  version: '(.*)'", f.read(), re.M).group(1)


def check_version():
    """Compares the version of each package with that of the library."""
    status, lines = run('rpmspec', '--query', '--queryformat', '%{version}\n', SPEC)
    return lines if status != 0 or set(lines) != {version()} else []


def build(top):
    """Builds the packages from an archive, as `meson dist` makes it."""
    name = 'sel-glib-' + version()
    tree = os.path.join(top, name)
    copy_sources(SOURCE, tree)
    os.makedirs(os.path.join(top, 'SOURCES'))
    with tarfile.open(os.path.join(top, 'SOURCES', name + '.tar.xz'), 'w:xz', preset=0) as archive:
        archive.add(tree, name)
    return run('rpmbuild', '-bb', '--nodeps', '--without', 'docs', '--define', '_topdir ' + top,
               '--define', 'optflags -O0', '--define', 'debug_package %{nil}', SPEC)


def check_contents(top, package):
    files = [path for path in glob.glob(os.path.join(top, 'RPMS', '*', package + '-[0-9]*.rpm'))]
    if len(files) != 1:
        return ['%d packages' % len(files)]
    _, paths = run('rpm', '--query', '--package', '--list', files[0])
    return missing_files(CONTENTS[package], paths)


def main():
    missing = missing_tools()
    if missing:
        print('1..0 # SKIP missing tool: ' + ', '.join(missing))
        return
    print('1..%d' % (len(CONTENTS) + 2))
    report(1, 'the packages have the version of the library', check_version())
    with tempfile.TemporaryDirectory(prefix='sel-glib-rpm-') as top:
        status, lines = build(top)
        report(2, 'the packages build', lines[-60:] if status != 0 else [])
        for number, package in enumerate(CONTENTS, 3):
            report(number, package, check_contents(top, package))


main()
