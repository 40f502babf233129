#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs the commands of the README and of the manual's first page literally. Prints TAP.

usage: manual-walk.py SOURCE-DIRECTORY [--install]

Starts in a copy of the sources, with an empty home directory. Each block of the README runs in the copy, in the order of
the README. The blocks of the manual run in one shell, and their output is compared. Lines with apt-get run only with
--install. Otherwise the script checks that the packages are installed. "sh tests/run.sh" does not run, because this
script is one of its tests.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree

SOURCE = os.path.abspath(sys.argv[1])
INSTALL = '--install' in sys.argv[2:]
PAGE = os.path.join(SOURCE, 'docs', 'getting-started.xml')
EXAMPLES = os.path.join(SOURCE, 'examples', 'getting-started')
XINCLUDE = '{http://www.w3.org/2003/XInclude}include'
# The variables of a user's shell, without those of this build.
KEPT = ('PATH', 'LANG', 'LC_ALL', 'TERM', 'USER', 'LOGNAME', 'TMPDIR')


class Block:
    def __init__(self, section, commands):
        self.section = section
        self.commands = commands
        self.output = None


def text_of(screen):
    """Returns the text of a block of the page, with the file that it includes."""
    for include in screen:
        if include.tag == XINCLUDE:
            with open(os.path.join(EXAMPLES, os.path.basename(include.get('href')))) as f:
                return f.read()
    return ''.join(screen.itertext()).strip('\n')


def read_page():
    """Returns the blocks of commands, each with the output that the page shows for it.

    The program with two commands is there in each language, but its output only once.
    """
    blocks = []
    output = None
    for section in ElementTree.parse(PAGE).getroot().iter('section'):
        for screen in section.findall('screen'):
            if screen.get('role') == 'commands':
                blocks.append(Block(section.findtext('title'), text_of(screen)))
            elif screen.get('role') == 'output':
                output = blocks[-1].output = text_of(screen)
    for block in blocks:
        if block.section != 'Installing' and block.output is None:
            block.output = output
    return blocks


def lines_of(output):
    """Returns the lines in a fixed order, with N for the number of a descriptor."""
    return sorted(re.sub(r'descriptor \d+', 'descriptor N', output).splitlines())


def readme_blocks():
    """Returns the blocks of commands in the README."""
    with open(os.path.join(SOURCE, 'README.md')) as f:
        parts = re.split(r'^## (.*)$', '## \n' + f.read(), flags=re.M)
    return [Block(section, commands.strip('\n')) for section, text in zip(parts[1::2], parts[2::2])
            for commands in re.findall(r'^```sh$(.*?)^```$', text, re.M | re.S)]


def readme_walk(blocks, tree, env):
    """Runs the blocks that the manual does not have, and returns a result for each."""
    for block in blocks:
        lines = [line for line in block.commands.splitlines() if not line.startswith('sh tests/run.sh')]
        command = ['sh', '-e', '-c', '\n'.join(lines)]
        if 'gtk' in block.commands:
            if subprocess.run(['pkg-config', '--exists', 'gtk4 >= 4.8']).returncode != 0 or not shutil.which('Xvfb'):
                yield 'README: %s # SKIP missing tool GTK 4 or Xvfb' % lines[0], []
                continue
            command = ['sh', os.path.join(tree, 'examples', 'gtk', 'with-xvfb.sh')] + command
        if any('-Ddocs=true' in line for line in lines) and not shutil.which('gtkdoc-scan'):
            yield 'README: %s # SKIP missing tool gtk-doc' % lines[0], []
            continue
        done = subprocess.run(command, cwd=tree, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, universal_newlines=True)
        yield 'README: ' + lines[-1], done.stdout.splitlines() if done.returncode != 0 else []


def missing_tools(blocks):
    programs = [shlex.split(line)[0] for block in blocks for line in block.commands.splitlines()]
    return sorted({name for name in programs
                   if '/' not in name and not shutil.which(name) and name not in ('cd', 'export', 'apt-get')})


def missing_packages(commands):
    """Returns the packages that a block would install and that are not installed."""
    packages = [word for line in commands.splitlines() for word in shlex.split(line)[2:]]
    done = subprocess.run(['dpkg-query', '--show', '--showformat', '${Status} ${Package} ${Provides}\n'],
                          stdout=subprocess.PIPE, universal_newlines=True)
    there = {word.rstrip(',') for line in done.stdout.splitlines() if line.startswith('install ok installed')
             for word in line.split()[3:]}
    return [package for package in packages if package not in there]


def script_of(blocks, top):
    """Returns a script that runs all blocks in one shell, as a reader does. It writes the output of each to a file."""
    lines = ['set -e']
    for number, block in enumerate(blocks):
        lines += ['{', block.commands, '} > %s/%d.out 2>&1' % (top, number), 'touch %s/%d.done' % (top, number)]
    return '\n'.join(lines) + '\n'


def cache_settings(top):
    """Returns the variables with which ccache uses the cache of the user, also for a directory with another name."""
    if not shutil.which('ccache'):
        return {}
    done = subprocess.run(['ccache', '--get-config', 'cache_dir'], stdout=subprocess.PIPE, universal_newlines=True)
    return {'CCACHE_DIR': done.stdout.strip(), 'CCACHE_BASEDIR': top, 'CCACHE_NOHASHDIR': '1'}


def main():
    blocks = read_page()
    walked = [block for block in blocks if INSTALL or not block.commands.startswith('apt-get')]
    missing = [] if INSTALL else missing_tools(walked)
    if missing:
        print('1..0 # SKIP missing tool: ' + ', '.join(missing))
        return

    results = []
    installing = [block.commands for block in blocks if block.section == 'Installing']
    readme = readme_blocks()
    results.append(('the README installs as the manual does',
                    [] if [block.commands for block in readme
                           if block.section == 'Installing'][:len(installing)] == installing else installing))
    results.append(('there is a program in each language',
                    [] if {'C', 'Python', 'JavaScript', 'Vala'} <= {block.section for block in blocks} else blocks))
    if shutil.which('dpkg-query'):
        for block in blocks:
            if block not in walked:
                results.append(('what the page installs is installed here', missing_packages(block.commands)))

    with tempfile.TemporaryDirectory(prefix='sel-glib-walk-') as top:
        tree = os.path.join(top, 'sources')
        shutil.copytree(SOURCE, tree, symlinks=True,
                        ignore=shutil.ignore_patterns('.git', 'build', 'build-*', '__pycache__'))
        home = os.path.join(top, 'home')
        os.mkdir(home)
        env = {name: os.environ[name] for name in KEPT if name in os.environ}
        env['HOME'] = home
        # Other tests compile the same files, if there is ccache. It does not find them in the empty home directory.
        env.update(cache_settings(top))
        results += readme_walk([block for block in readme if block.commands not in installing], tree, env)
        subprocess.run(['sh', '-c', script_of(walked, top)], cwd=tree, env=env, stdin=subprocess.DEVNULL)
        for number, block in enumerate(walked):
            path = os.path.join(top, '%d.out' % number)
            said = open(path).read() if os.path.exists(path) else ''
            done = os.path.exists(os.path.join(top, '%d.done' % number))
            wrong = [] if done else said.splitlines() or ['was not reached']
            if done and block.output is not None and lines_of(said) != lines_of(block.output):
                wrong = ['printed:'] + said.splitlines()
            results.append(('%s: %s' % (block.section, block.commands.splitlines()[-1]), wrong))

    print('1..%d' % len(results))
    for number, (name, wrong) in enumerate(results, 1):
        print('%s %d %s' % ('not ok' if wrong else 'ok', number, name if '# SKIP' in name else name.replace('#', '')))
        for line in wrong:
            print('# %s' % line)


main()
