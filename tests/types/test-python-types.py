#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Checks the stubs Sel.pyi and sel_asyncio.pyi with mypy, and compares them with the typelib and the override. Prints
TAP.

usage: test-python-types.py [TEST]…
"""

import ast
import asyncio
import inspect
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import types
import unittest

HERE = pathlib.Path(__file__).resolve().parent
SOURCE = HERE.parent.parent
STUBS = SOURCE / 'introspection/python/gi-stubs'
sys.path.insert(0, str(HERE.parent / 'python'))

import tap  # noqa: E402

Sel = tap.import_sel()

from gi.repository import GObject  # noqa: E402

MISTAKES = {
    'name': 'Sel.NoSuchSelector()',
    'method': 'Sel.DefaultSelector().no_such_method()',
    'argument': "Sel.DefaultSelector().select('soon')",
    'coroutine': 'Sel.asyncio.run(7)',
}


def parse(path):
    """Returns the public names of a stub: a dictionary from the name to None, a function, or a dictionary."""
    return parse_body(ast.parse(path.read_text()).body)


def parse_body(body):
    found = {}
    for node in body:
        if isinstance(node, ast.ClassDef):
            found[node.name] = parse_body(node.body)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            # The last overload has all parameters.
            found[node.name] = node
        elif isinstance(node, ast.AnnAssign):
            found[node.target.id] = None
        elif isinstance(node, ast.Assign):
            found[node.targets[0].id] = None
    return {name: value for name, value in found.items() if name[0] != '_' or name == '__init__'}


def parse_api():
    """Returns the API for bindings: a dictionary from the name to the set of members, as PyGObject calls them."""
    found = {}
    for line in (SOURCE / 'introspection/Sel-1.0.api').read_text().splitlines()[1:]:
        indent, kind, name = re.match(r'( *)(?:(\w+) )?([-\w]+)', line).groups()
        if not indent:
            members = found[name] = set()
        elif kind == 'vfunc':
            members.add('do_' + name)
        elif kind == 'property':
            members.add('props.' + name.replace('-', '_'))
        else:
            members.add(name)
    return found


def parameters(node):
    """Returns the parameters of a function of a stub: (name, kind, has a default)."""
    args = node.args
    missing = len(args.args) - len(args.defaults)
    found = [(arg.arg, 'positional', i >= missing) for i, arg in enumerate(args.args)]
    if args.vararg:
        found.append((args.vararg.arg, 'variadic', False))
    found += [(arg.arg, 'keyword', default is not None) for arg, default in zip(args.kwonlyargs, args.kw_defaults)]
    return found


def runtime_parameters(function):
    kinds = {inspect.Parameter.POSITIONAL_OR_KEYWORD: 'positional', inspect.Parameter.VAR_POSITIONAL: 'variadic',
             inspect.Parameter.KEYWORD_ONLY: 'keyword'}
    return [(parameter.name, kinds[parameter.kind], parameter.default is not parameter.empty)
            for parameter in inspect.signature(function).parameters.values()]


def is_overloaded(node):
    return any(getattr(decorator, 'id', None) == 'overload' for decorator in node.decorator_list)


class TestNames(unittest.TestCase):
    """The names and parameters of the stubs."""

    def setUp(self):
        self.stub = parse(STUBS / 'repository/Sel.pyi')
        self.asyncio_stub = parse(STUBS / 'overrides/sel_asyncio.pyi')

    def test_names_exist(self):
        api = parse_api()
        for name, members in self.stub.items():
            self.assertTrue(hasattr(Sel, name), name)
            if not isinstance(members, dict):
                continue
            for member, value in members.items():
                if member == 'Props':
                    names = {pspec.name.replace('-', '_') for pspec in GObject.list_properties(getattr(Sel, name))}
                    self.assertLessEqual(set(value), names | {'props'})
                elif member.startswith('do_'):
                    # An interface does not have its virtual functions.
                    self.assertIn(member, api[name])
                else:
                    self.assertTrue(hasattr(getattr(Sel, name), member), (name, member))

    def test_api_is_typed(self):
        api = parse_api()
        self.assertIn('register', api['BaseSelector'])
        self.assertIn('do_wait', api['BaseSelector'])
        for name, members in api.items():
            if name == 'SelectorFunc':
                continue
            self.assertIn(name, self.stub)
            typed = self.stub[name] or {}
            if isinstance(typed, dict):
                found = set(typed) | {'props.' + prop for prop in typed.get('Props', {})}
                self.assertLessEqual(members, found, name)

    def compare_functions(self, functions, stub, where):
        n_compared = 0
        for name, function in functions.items():
            if not isinstance(function, types.FunctionType) or (name[0] == '_' and name != '__init__'):
                continue
            self.assertIn(name, stub, where)
            if not is_overloaded(stub[name]):
                self.assertEqual(parameters(stub[name]), runtime_parameters(function), (where, name))
            else:
                typed = {parameter[0] for parameter in parameters(stub[name])} - {'__data'}
                self.assertLessEqual(typed, {parameter[0] for parameter in runtime_parameters(function)}, (where, name))
            n_compared += 1
        return n_compared

    def test_override(self):
        n_compared = self.compare_functions(vars(Sel.BaseSelector), self.stub['BaseSelector'], 'BaseSelector')
        self.assertGreater(n_compared, 15)
        for name in set(sys.modules['gi.overrides.Sel'].__all__) - {'__getattr__'} | {'asyncio'}:
            self.assertIn(name, self.stub)
        for cls in (Sel.EpollSelector, Sel.KqueueSelector, Sel.DevpollSelector):
            self.assertIn('fileno', self.stub[cls.__name__])

    def test_asyncio(self):
        module = Sel.asyncio
        self.assertLessEqual(set(module.__all__), set(self.asyncio_stub))
        self.assertLessEqual(set(self.asyncio_stub), set(dir(module)) | {'EventLoopPolicy'})
        own = {name: value for name, value in vars(module.EventLoop).items()
               if name == '__init__' or not hasattr(asyncio.SelectorEventLoop, name)}
        own = {name: getattr(value, '__wrapped__', value) for name, value in own.items()}
        self.assertGreaterEqual(self.compare_functions(own, self.asyncio_stub['EventLoop'], 'EventLoop'), 3)
        functions = {name: getattr(module, name) for name in module.__all__}
        self.assertEqual(self.compare_functions(functions, self.asyncio_stub, 'asyncio'), 2)


class TestMypy(unittest.TestCase):
    """The types, as mypy sees them."""

    @classmethod
    def setUpClass(cls):
        # The standard library is analysed once.
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.cache = folder.name

    def setUp(self):
        if shutil.which('mypy') is None:
            self.skipTest('missing tool: mypy')
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.work = pathlib.Path(folder.name)

    def run_mypy(self, *files, python='/usr/bin/python3', path=None, cache=None):
        """Returns the messages of mypy, without the summary."""
        environment = dict(os.environ)
        environment.pop('MYPYPATH', None)
        if path is not None:
            environment['MYPYPATH'] = str(path)
        done = subprocess.run(['mypy', '--strict', '--no-error-summary', '--config-file=',
                               '--cache-dir=' + (cache or self.cache),
                               '--python-executable', str(python), *map(str, files)],
                              cwd=self.work, env=environment, text=True, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return done.stdout.strip() or ('' if done.returncode == 0 else 'mypy failed without a message')

    def copy_stubs(self, path):
        shutil.copytree(STUBS, path, dirs_exist_ok=True)

    def make_path(self):
        """Makes a folder with the stubs and the replacement of PyGObject's stubs, in which mypy reports errors."""
        shutil.copytree(HERE / 'gi', self.work / 'path/gi')
        self.copy_stubs(self.work / 'path/gi')
        return self.work / 'path'

    def check(self, *files):
        self.assertEqual(self.run_mypy(*files, path=self.make_path()), '')

    def test_all_names(self):
        self.check(HERE / 'all-names.py')

    def test_examples(self):
        examples = [path for path in sorted((SOURCE / 'examples').rglob('*.py')) if ' Sel' in path.read_text()]
        self.assertGreater(len(examples), 2)
        path = self.make_path()
        # Each one is a program of its own.
        for example in examples:
            self.assertEqual(self.run_mypy(example, path=path), '')

    def test_mistakes(self):
        path = self.make_path()
        for name, line in MISTAKES.items():
            program = self.work / (name + '.py')
            program.write_text('from gi.repository import Sel\n' + line + '\n')
            self.assertRegex(self.run_mypy(program, path=path), r'^%s\.py:2: error: ' % name)

    def install(self, path):
        """Installs the stubs in a folder of packages, as the build does."""
        self.copy_stubs(path / 'gi-stubs')
        subprocess.run([sys.executable, SOURCE / 'introspection/python/install-fallback-stubs.py', path / 'gi-stubs'],
                       check=True, env={**os.environ, 'DESTDIR': ''})

    def make_packages(self):
        """Makes a virtual environment. Returns its interpreter and its two folders of packages, in order of
        precedence."""
        subprocess.run([sys.executable, '-m', 'venv', '--without-pip', self.work / 'venv'], check=True)
        first, = (self.work / 'venv/lib').glob('python*/site-packages')
        second = self.work / 'second'
        second.mkdir()
        (first / 'second.pth').write_text('%s\n' % second)
        return self.work / 'venv/bin/python', first, second

    def check_installed(self, python, main_loop):
        program = self.work / 'program.py'
        program.write_text('import gi\n'
                           "gi.require_version('Sel', '1.0')\n"
                           'from gi.repository import GLib, Sel\n'
                           'reveal_type(Sel.DefaultSelector().select_fds(0, None)[1])\n'
                           'reveal_type(GLib.MainLoop().run())\n'
                           'reveal_type(Sel.asyncio.EventLoop().running)\n')
        # mypy 2.4 takes modules of gi.repository from a cache that it made when other stubs were installed.
        lines = self.run_mypy(program, python=python, cache=os.devnull).splitlines()
        self.assertEqual(len(lines), 3, lines)
        self.assertRegex(lines[0], r'"(builtins\.)?list\[(builtins\.)?int\]"$')
        self.assertTrue(lines[1].endswith('"%s"' % main_loop), lines)
        self.assertIn('AbstractContextManager', lines[2])

    def test_installed_alone(self):
        python, first, unused = self.make_packages()
        self.install(first)
        self.check_installed(python, 'Any')

    def test_installed_with_other_stubs(self):
        python, first, second = self.make_packages()
        for ours, theirs in (first, second), (second, first):
            shutil.copytree(HERE / 'gi', theirs / 'gi-stubs')
            self.install(ours)
            self.check_installed(python, 'None')
            for folder in ours, theirs:
                shutil.rmtree(folder / 'gi-stubs')

    def test_installed_into_other_stubs(self):
        python, first, unused = self.make_packages()
        shutil.copytree(HERE / 'gi', first / 'gi-stubs')
        self.install(first)
        self.assertEqual((first / 'gi-stubs/__init__.pyi').read_text(), (HERE / 'gi/__init__.pyi').read_text())
        self.assertFalse((first / 'gi-stubs/repository/__init__.pyi').exists())
        self.check_installed(python, 'None')


if __name__ == '__main__':
    tap.main('/python-types/')
