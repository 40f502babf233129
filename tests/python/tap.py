# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs tests of unittest and prints TAP."""

import os
import sys
import unittest


def skip_all(reason):
    print('1..0 # SKIP ' + reason)
    sys.exit(0)


def import_sel():
    """Returns the namespace with its override. Exits if there is no PyGObject."""
    try:
        import gi
    except ImportError:
        skip_all('missing tool: PyGObject for ' + sys.executable)
    gi.require_version('Sel', '1.0')
    from gi.repository import Sel
    return Sel


class TapResult(unittest.TestResult):
    """Prints one line for each test. `excluded` maps the ends of the names of skipped tests to the reasons."""

    def __init__(self, stream, prefix, excluded):
        super().__init__()
        self._tap = stream
        self._prefix = prefix
        self._excluded = excluded
        self._failed_subtests = []

    def _line(self, verdict, test, comment=''):
        # The module is one of CPython's tests, or the program itself.
        name = test.id().removeprefix('__main__.').removeprefix('test.')
        print('%s %d %s%s%s' % (verdict, self.testsRun, self._prefix, name, comment), file=self._tap, flush=True)

    def _failure(self, test, error):
        print('# ' + self._exc_info_to_string(error, test).replace('\n', '\n# '), file=self._tap)

    def startTest(self, test):
        super().startTest(test)
        self._failed_subtests = []
        for name, reason in self._excluded.items():
            if test.id().endswith('.' + name):
                # The method of the test is replaced, so that neither the method nor the fixture runs.
                def skip(reason=reason):
                    raise unittest.SkipTest(reason)
                test.setUp = skip

    def addSuccess(self, test):
        self._line('not ok' if self._failed_subtests else 'ok', test)

    def addSubTest(self, test, subtest, error):
        super().addSubTest(test, subtest, error)
        if error is not None:
            self._failed_subtests.append(subtest)
            self._failure(test, error)

    def addError(self, test, error):
        super().addError(test, error)
        if not hasattr(test, '_testMethodName'):
            # A fixture of a class or module.
            self.testsRun += 1
        self._failure(test, error)
        self._line('not ok', test)

    addFailure = addError

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self._line('ok', test, ' # SKIP ' + ' '.join(str(reason).split()))

    def addExpectedFailure(self, test, error):
        self._line('ok', test)

    def addUnexpectedSuccess(self, test):
        super().addUnexpectedSuccess(test)
        self._line('not ok', test)


def run(suite, prefix='', excluded={}):
    """Runs a suite. Standard output of the tests themselves is redirected to standard error."""
    sys.stdout.flush()
    stream = os.fdopen(os.dup(1), 'w')
    os.dup2(2, 1)
    result = TapResult(stream, prefix, excluded)
    suite.run(result)
    # A test that passes although it was expected to fail is not a success.
    print('1..%d' % result.testsRun, file=stream)
    stream.close()
    return 0 if result.wasSuccessful() else 1


def main(prefix):
    """Runs the tests of the program, or only those that its arguments name."""
    loader = unittest.TestLoader()
    module = sys.modules['__main__']
    names = sys.argv[1:]
    suite = loader.loadTestsFromNames(names, module) if names else loader.loadTestsFromModule(module)
    sys.exit(run(suite, prefix))
