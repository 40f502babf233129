#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Installs the library into a prefix of its own and uses it as an external program does. Prints TAP.

usage: test-packaging.py SOURCE-DIRECTORY
"""

import glob
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

SOURCE = os.path.abspath(sys.argv[1])
HERE = os.path.join(SOURCE, 'tests', 'packaging')
WARNINGS = ['-Wall', '-Wextra', '-Wpedantic', '-Werror']
LANGUAGES = {
    'C': ([os.environ.get('CC', 'cc'), '-x', 'c', '-std=c11'], '.c'),
    'C++': ([os.environ.get('CXX', 'c++'), '-x', 'c++', '-std=c++11'], '.cc'),
}

# The build tree runs the same programs. SEL_TEST_LOAD=long runs all of them.
INSTALLED_TESTS = ['abi', 'async', 'callbacks', 'contract', 'introspection', 'selector', 'source', 'version']


class Failure(Exception):
    pass


def run(*command, **options):
    """Runs a command and returns its output. If the command fails, the output is the text of the exception."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          universal_newlines=True, **options)
    if done.returncode != 0:
        raise Failure('%s\n%s' % (shlex.join(command), done.stdout))
    return done.stdout


def expect(condition, text):
    if not condition:
        raise Failure(text)


class Installation:
    """A build of the library that is installed in a prefix of its own."""

    def __init__(self, top, *options):
        self.prefix = os.path.join(top, 'prefix')
        build = os.path.join(top, 'build')
        run('meson', 'setup', build, SOURCE, '--prefix=' + self.prefix, '--libdir=lib', '-Dexamples=false',
            '-Doptimization=0', *options)
        # Builds the files that are installed only.
        targets = json.loads(run('meson', 'introspect', '--targets', build))
        run('ninja', '-C', build, *[os.path.relpath(path, build) for target in targets if target['installed']
                                    for path in target['filename']])
        run('meson', 'install', '-C', build, '--no-rebuild')
        self.libdir = os.path.join(self.prefix, 'lib')
        self.includedir = os.path.join(self.prefix, 'include', 'sel-glib-1.0')
        self.env = dict(os.environ, LD_LIBRARY_PATH=self.libdir, G_DEBUG='fatal-criticals',
                        PKG_CONFIG_PATH=os.path.join(self.libdir, 'pkgconfig'))

    def pkg_config(self, *arguments):
        return shlex.split(run(os.environ.get('PKG_CONFIG', 'pkg-config'), *arguments, 'sel-glib-1.0', env=self.env))

    def build_outside(self, language, *link_arguments):
        """Builds the program outside.c and returns its path."""
        program = os.path.join(self.prefix, 'outside')
        run(*LANGUAGES[language][0], *WARNINGS, os.path.join(HERE, 'outside.c'), '-x', 'none', '-o', program,
            *self.pkg_config('--cflags'), *link_arguments)
        return program

    def run_outside(self, program):
        version = project_version().split('~')[0]
        text = run(program, env=self.env)
        expect(text.startswith('1 ready with the own selector, 1 with Sel') and text.endswith(version + '\n'), text)


def project_version():
    with open(os.path.join(SOURCE, 'meson.build')) as f:
        return re.search(r"^  version: '(\d+\.\d+\.\d+(?:~\w+)?)'", f.read(), re.M).group(1)


def needed(program):
    return re.findall(r'\(NEEDED\).*\[(.*)\]', run('readelf', '--dynamic', program))


def test_headers_installed(installation):
    """what is included is installed, and nothing private is"""
    installed = {os.path.basename(path) for path in glob.glob(installation.includedir + '/sel-glib/*')}
    expect(not [name for name in installed if 'private' in name], sorted(installed))
    for name in installed:
        with open(os.path.join(installation.includedir, 'sel-glib', name)) as f:
            for included in re.findall(r'#include [<"](sel[-\w/]*\.h)', f.read()):
                expect(included.startswith('sel-glib/') and included[len('sel-glib/'):] in installed,
                       '%s includes %s' % (name, included))
    with open(os.path.join(installation.includedir, 'sel-glib', 'sel-glib.h')) as f:
        main = f.read()
    for name in installed - {'sel-glib.h', 'sel-version-numbers.h'}:
        expect('#include <sel-glib/%s>' % name in main, 'sel-glib.h does not include ' + name)


def test_each_header_alone(installation, language):
    command, suffix = LANGUAGES[language]
    flags = installation.pkg_config('--cflags')
    for path in sorted(glob.glob(installation.includedir + '/sel-glib/*.h')):
        source = os.path.join(installation.prefix, 'header' + suffix)
        with open(source, 'w') as f:
            f.write('#include <sel-glib/%s>\nint main (void);\n' % os.path.basename(path))
        run(*command, *WARNINGS, '-fsyntax-only', source, *flags)


def test_pkg_config(installation):
    """the pkg-config file says what the headers and the library need"""
    expect(installation.pkg_config('--modversion') == [project_version()], 'version')
    requires = installation.pkg_config('--print-requires')
    expect([word for word in requires if word[0].isalpha()] == ['glib-2.0', 'gobject-2.0', 'gio-2.0'], requires)
    expect([word for word in requires if word[0].isdigit()] == ['2.74'] * 3, requires)
    libs = installation.pkg_config('--libs')
    expect('-lsel-glib-1.0' in libs and '-lm' not in libs, libs)
    static = installation.pkg_config('--libs', '--static')
    expect('-lm' in static and '-pthread' in static, static)


def test_shared(installation, language):
    program = installation.build_outside(language, *installation.pkg_config('--libs'))
    expect('libsel-glib-1.0.so.0' in needed(program), needed(program))
    installation.run_outside(program)


def test_static(installation, language):
    away = os.path.join(installation.prefix, 'away')
    os.mkdir(away)
    for path in glob.glob(installation.libdir + '/libsel-glib-1.0.so*'):
        shutil.move(path, away)
    try:
        program = installation.build_outside(language, *installation.pkg_config('--libs', '--static'))
        expect(not [name for name in needed(program) if 'sel-glib' in name], needed(program))
        installation.run_outside(program)
    finally:
        for path in os.listdir(away):
            shutil.move(os.path.join(away, path), installation.libdir)
        os.rmdir(away)


def test_version_limits(installation):
    """version limits that make no sense are told at compile time"""
    source = os.path.join(installation.prefix, 'limits.c')
    with open(source, 'w') as f:
        f.write('#include <sel-glib/sel-glib.h>\n')
    command = [*LANGUAGES['C'][0], '-fsyntax-only', source, *installation.pkg_config('--cflags')]
    run(*command, '-DSEL_VERSION_MIN_REQUIRED=SEL_VERSION_1_0', '-DSEL_VERSION_MAX_ALLOWED=SEL_VERSION_1_0')
    for wrong in (['-DSEL_VERSION_MAX_ALLOWED=G_ENCODE_VERSION(0,9)'],
                  ['-DSEL_VERSION_MIN_REQUIRED=G_ENCODE_VERSION(0,9)'],
                  ['-DSEL_VERSION_MIN_REQUIRED=G_ENCODE_VERSION(1,99)',
                   '-DSEL_VERSION_MAX_ALLOWED=G_ENCODE_VERSION(1,99)']):
        try:
            run(*command, *wrong)
        except Failure as failure:
            expect('error: #error "SEL_VERSION_M' in str(failure), failure)
        else:
            raise Failure('%s is accepted' % wrong)


def test_soname(installation):
    """the library has the name that programs ask for"""
    library = os.path.join(installation.libdir, 'libsel-glib-1.0.so')
    text = run('readelf', '--dynamic', library)
    expect('[libsel-glib-1.0.so.0]' in text, text)


def test_typelib(installation):
    """the typelib names the library"""
    with open(os.path.join(installation.prefix, 'share', 'gir-1.0', 'Sel-1.0.gir')) as f:
        gir = f.read()
    expect('shared-library="libsel-glib-1.0.so.0' in gir, gir[:1000])
    expect('<package name="sel-glib-1.0"/>' in gir, gir[:1000])
    expect(os.path.exists(os.path.join(installation.libdir, 'girepository-1.0', 'Sel-1.0.typelib')), 'no typelib')


def test_installed_tests(installation):
    """the installed tests find the installed library, and pass"""
    tests = [] if os.environ.get('SEL_TEST_LOAD') == 'long' else INSTALLED_TESTS
    env = dict(installation.env, XDG_DATA_DIRS=os.path.join(installation.prefix, 'share'),
               GI_TYPELIB_PATH=os.path.join(installation.libdir, 'girepository-1.0'))
    text = run('gnome-desktop-testing-runner', *['sel-glib-1.0/%s.test' % name for name in tests] or ['sel-glib-1.0'],
               env=env)
    summary = re.search(r'total=(\d+); passed=(\d+); skipped=(\d+); failed=(\d+)', text)
    expect(summary and int(summary.group(1)) >= len(INSTALLED_TESTS) and summary.group(4) == '0', text)
    binary = os.path.join(installation.prefix, 'libexec', 'installed-tests', 'sel-glib-1.0', 'selector')
    expect('libsel-glib-1.0.so.0' in needed(binary), needed(binary))


def test_subproject(top, kind):
    project = os.path.join(top, 'project-' + kind)
    os.makedirs(os.path.join(project, 'subprojects'))
    os.symlink(SOURCE, os.path.join(project, 'subprojects', 'sel-glib'))
    shutil.copy(os.path.join(HERE, 'outside.c'), project)
    with open(os.path.join(project, 'meson.build'), 'w') as f:
        f.write("project('outside', 'c')\n"
                "sel_glib_dep = dependency('sel-glib-1.0', fallback: 'sel-glib')\n"
                "test('outside', executable('outside', 'outside.c', dependencies: sel_glib_dep))\n")
    build = os.path.join(project, 'build')
    run('meson', 'setup', build, project, '-Ddefault_library=' + kind, '--wrap-mode=forcefallback')
    run('meson', 'compile', '-C', build)
    run('meson', 'test', '-C', build)
    libraries = [name for name in needed(os.path.join(build, 'outside')) if 'sel-glib' in name]
    expect(libraries == {'shared': ['libsel-glib-1.0.so.0'], 'static': []}[kind], libraries)
    tests = run('meson', 'introspect', '--tests', build)
    expect([test['name'] for test in json.loads(tests)] == ['outside'], tests)


def test_options(top):
    """the parts that can be left out can be left out"""
    for option in 'introspection', 'gtk', 'vapi', 'python_accelerator':
        run('meson', 'setup', os.path.join(top, 'without-' + option), SOURCE, '-Dtests=false', '-D%s=disabled' % option)


def main():
    tools = [command[0] for command, suffix in LANGUAGES.values()] + ['meson', 'ninja', 'readelf']
    missing = [tool for tool in tools if not shutil.which(tool.split()[0])]
    if missing:
        print('1..0 # SKIP missing tool: ' + ', '.join(missing))
        return

    has_runner = shutil.which('gnome-desktop-testing-runner') is not None
    with tempfile.TemporaryDirectory(prefix='sel-glib-packaging-') as top:
        installation = Installation(top, '-Ddefault_library=both', '-Dtests=%s' % str(has_runner).lower(),
                                    '-Dinstalled_tests=true')
        cases = [(test.__doc__, test, (installation,)) for test in (
            test_headers_installed, test_pkg_config, test_version_limits, test_soname, test_typelib)]
        for language in LANGUAGES:
            cases += [
                ('each header compiles alone as ' + language, test_each_header_alone, (installation, language)),
                ('a shared build in ' + language, test_shared, (installation, language)),
                ('a static build in ' + language, test_static, (installation, language)),
            ]
        cases += [('a subproject, ' + kind, test_subproject, (top, kind)) for kind in ('shared', 'static')]
        cases.append((test_options.__doc__, test_options, (top,)))

        print('1..%d' % (len(cases) + 1))
        if has_runner:
            cases.append((test_installed_tests.__doc__, test_installed_tests, (installation,)))
        else:
            print('ok %d # SKIP missing tool: gnome-desktop-testing-runner' % (len(cases) + 1))
        for number, (name, test, arguments) in enumerate(cases, 1):
            try:
                test(*arguments)
            except Failure as failure:
                print('not ok %d %s' % (number, name))
                for line in str(failure).splitlines():
                    print('# ' + line)
            else:
                print('ok %d %s' % (number, name), flush=True)


main()
