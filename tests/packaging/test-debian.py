#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Builds the Debian packages from a copy of the tree and checks their content. Prints TAP.

usage: test-debian.py SOURCE-DIRECTORY
"""

import glob
import os
import shutil
import sys
import tempfile

from packages import copy_sources, missing_files, report, run

SOURCE = os.path.abspath(sys.argv[1])
# The packages, and patterns of the files that each one must contain.
CONTENTS = {
    'libsel-glib-1.0-0': [r'/usr/lib/.*/libsel-glib-1\.0\.so\.0'],
    'libsel-glib-1.0-dev': [
        r'/usr/include/sel-glib-1\.0/sel-glib/sel-glib\.h', r'/usr/lib/.*/libsel-glib-1\.0\.so',
        r'/usr/lib/.*/libsel-glib-1\.0\.a', r'/usr/lib/.*/pkgconfig/sel-glib-1\.0\.pc',
        r'/usr/share/gir-1\.0/Sel-1\.0\.gir', r'/usr/share/vala/vapi/sel-glib-1\.0\.vapi',
        r'/usr/share/sel-glib-1\.0/Sel\.d\.ts'],
    'gir1.2-sel-1.0': [r'/usr/lib/.*/girepository-1\.0/Sel-1\.0\.typelib', r'/usr/share/gjs-1\.0/overrides/Sel\.js'],
    'python3-sel-glib': [r'/usr/lib/python3/dist-packages/gi-stubs/repository/Sel\.pyi',
                         r'/usr/lib/python3/dist-packages/gi/overrides/Sel\.py',
                         r'/usr/lib/python3/dist-packages/gi/overrides/sel_accelerator\..*\.so'],
    'libsel-glib-doc': [r'/usr/share/gtk-doc/html/sel-glib/index\.html',
                        r'/usr/share/gtk-doc/html/sel-glib/sel-glib\.devhelp2',
                        r'/usr/share/doc/libsel-glib-doc/examples/getting-started/two-commands\.c'],
}


def missing_tools(tree):
    tools = [tool for tool in ('dpkg-buildpackage', 'dpkg-checkbuilddeps', 'lintian') if not shutil.which(tool)]
    if tools:
        return ', '.join(tools)
    status, lines = run('dpkg-checkbuilddeps', cwd=tree)
    return lines[-1] if status != 0 else ''


def check_contents(top, package):
    files = glob.glob(os.path.join(top, package + '_*.deb'))
    if len(files) != 1:
        return ['%d packages' % len(files)]
    _, lines = run('dpkg-deb', '--contents', files[0])
    return missing_files(CONTENTS[package], [line.split()[5].lstrip('.') for line in lines])


def check_lintian(top):
    changes = glob.glob(os.path.join(top, '*.changes'))
    if not changes:
        return ['no packages']
    as_root = ['--allow-root'] if os.getuid() == 0 else []
    status, lines = run('lintian', *as_root, *changes)
    errors = [line for line in lines if line.startswith('E:')]
    return errors or ([] if status == 0 else lines)


def main():
    with tempfile.TemporaryDirectory(prefix='sel-glib-debian-') as top:
        tree = os.path.join(top, 'sel-glib')
        copy_sources(SOURCE, tree)
        missing = missing_tools(tree)
        if missing:
            print('1..0 # SKIP missing tool: ' + missing)
            return
        print('1..%d' % (len(CONTENTS) + 2))
        status, lines = run('dpkg-buildpackage', '--unsigned-source', '--unsigned-changes', '--build=binary', cwd=tree,
                            env=dict(os.environ, DEB_BUILD_OPTIONS='nocheck'))
        report(1, 'the packages build', lines[-60:] if status != 0 else [])
        for number, package in enumerate(CONTENTS, 2):
            report(number, package, check_contents(top, package))
        report(len(CONTENTS) + 2, 'lintian finds no errors', check_lintian(top))


main()
