#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Counts the results in the logs that `meson test` leaves as testlog.json.

Every sub-test of a program that prints TAP counts. Any other program counts as one test. A program that
failed without naming a sub-test counts as one more failure: it crashed, bailed out, or printed another number
of results than it had planned. With CI=true in the environment, a sub-test that was skipped for the reason
"missing tool ..." counts as failed.

Prints the output of each program with a failure, and at the end "N passed, N failed, N skipped". The exit
status is 0 if at least one test ran and none failed.
"""

import argparse
import json
import os
import re
import sys

RESULT = re.compile(r'(?P<failed>not )?ok\b(?P<text>[^#]*)(#\s*(?P<word>\w+)\S*\s*(?P<reason>.*))?')
PLAN = re.compile(r'1\.\.(?P<number>\d+)\s*(#\s*(?P<word>\w+)\S*\s*(?P<reason>.*))?$')
MISSING_TOOL = 'missing tool'


class Count:
    """The results of some tests. `complaints` are lines that name the failures."""

    def __init__(self, strict):
        self.strict = strict
        self.passed = self.failed = self.skipped = 0
        self.complaints = []

    def add(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped

    def fail(self, complaint):
        self.failed += 1
        self.complaints.append(complaint)

    def skip(self, name, reason):
        if self.strict and reason.lower().startswith(MISSING_TOOL):
            self.fail(f'{name}: skipped, {reason}')
        else:
            self.skipped += 1

    def __str__(self):
        return f'{self.passed} passed, {self.failed} failed, {self.skipped} skipped'


def count_tap(lines, count):
    """Counts the results. Returns None, or the error of the program as a whole, or False if it is not TAP."""
    n_results = 0
    plan = None
    bail_out = None
    is_tap = False

    for line in lines:
        if line.startswith('Bail out!'):
            is_tap = True
            bail_out = line
        elif match := PLAN.match(line):
            is_tap = True
            plan = int(match['number'])
            if plan == 0:
                count.skip('all', match['reason'] or '')
        elif match := RESULT.match(line):
            is_tap = True
            n_results += 1
            word = (match['word'] or '').upper()
            if word == 'SKIP' or (word == 'TODO' and match['failed']):
                count.skip(match['text'].strip(), match['reason'] or '')
            elif match['failed']:
                count.fail(line)
            else:
                count.passed += 1
        elif line.startswith('TAP version '):
            is_tap = True

    if not is_tap:
        return False
    if bail_out is not None:
        return bail_out
    if plan is None:
        return 'it ended without a plan'
    if plan != n_results:
        return f'it planned {plan} results and printed {n_results}'
    return None


def count_program(test, strict):
    count = Count(strict)
    output = test.get('stdout') or ''
    result = test.get('result')
    went_well = result in ('OK', 'SKIP', 'EXPECTEDFAIL')

    trouble = count_tap(output.splitlines(), count)
    if trouble is False:
        trouble = None
        if result == 'SKIP':
            lines = [line for line in output.splitlines() if line.startswith(MISSING_TOOL)]
            count.skip(test['name'], ''.join(lines[:1]))
        elif went_well:
            count.passed += 1
    if trouble is None and not went_well:
        trouble = f'{result}, status {test.get("returncode")}'
    if trouble is not None and count.failed == 0:
        count.fail(trouble)

    return count


def report(test, count):
    print(f'\n==== {test["name"]}: {count}')
    for stream in 'stdout', 'stderr':
        text = (test.get(stream) or '').rstrip()
        if text:
            print(f'---- {stream}\n{text}')
    print('---- failed')
    for complaint in count.complaints:
        print(f'{test["name"]}: {complaint}')


def main():
    parser = argparse.ArgumentParser(description='Count the results in logs of meson test.')
    parser.add_argument('--meson-status', type=int, default=0, help='exit status of meson test')
    parser.add_argument('logs', nargs='+', metavar='testlog.json')
    arguments = parser.parse_args()

    strict = os.environ.get('CI') == 'true'
    total = Count(strict)
    for path in arguments.logs:
        if not os.path.exists(path):
            continue
        with open(path, encoding='utf-8', errors='replace') as log:
            for line in log:
                test = json.loads(line)
                count = count_program(test, strict)
                if count.failed > 0:
                    report(test, count)
                total.add(count)

    if arguments.meson_status != 0 and total.failed == 0:
        total.fail('meson')
        print(f'meson test ended with status {arguments.meson_status}')

    print(total)
    return 0 if total.failed == 0 and total.passed > 0 else 1


if __name__ == '__main__':
    sys.exit(main())
