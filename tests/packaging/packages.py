# SPDX-License-Identifier: LGPL-2.1-or-later
"""Functions that the tests which build packages share."""

import re
import shutil
import subprocess


def run(*command, **options):
    """Runs a command. Returns its status, and the lines that it has printed."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          universal_newlines=True, **options)
    return done.returncode, done.stdout.splitlines()


def copy_sources(source, tree):
    """Copies the files of a release, without build directories and history."""
    shutil.copytree(source, tree, symlinks=True,
                    ignore=shutil.ignore_patterns('.git', 'build', 'build-*', '__pycache__', '.mesonpy-*'))


def missing_files(patterns, paths):
    return ['no ' + pattern for pattern in patterns if not any(re.fullmatch(pattern, path) for path in paths)]


def report(number, name, wrong):
    print('%s %d %s' % ('not ok' if wrong else 'ok', number, name), flush=True)
    for line in wrong:
        print('# ' + line)
