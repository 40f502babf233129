#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Checks the model of a wait, wait.pml, with spin. Prints TAP.

usage: test-spin.py SOURCE-DIRECTORY

Each scenario has a few threads with a few calls, and spin tries all orders of their steps. Each variant lacks one step
of the protocol, so that its scenario must have an error.
"""

import concurrent.futures
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

SCENARIOS = {
    'wake-ups': 'N_WAITS=2 N_WAKEUPS=2',
    'main loop': 'N_WAITS=1 N_WAITS_2=1 N_WAKEUPS=1',
    'close': 'N_WAITS=1 N_WAITS_2=1 N_CLOSES=1',
    'close and wake-up': 'N_WAITS=2 N_CLOSES=1 N_WAKEUPS=1',
    'close and cancellation': 'N_WAITS=2 CANCELLABLE=1 N_CLOSES=1',
    'reinit': 'N_WAITS=2 N_WAITS_2=1 N_REINITS=1',
    'reinit and wake-up': 'N_WAITS=2 N_REINITS=2 N_WAKEUPS=1',
    'reinit and cancellation': 'N_WAITS=2 CANCELLABLE=1 N_REINITS=1',
    'reinit, close and wake-up': 'N_WAITS=1 N_REINITS=1 N_CLOSES=1 N_WAKEUPS=1',
    'changes': 'N_WAITS=1 N_WAITS_2=1 N_CHANGES=1',
    'changes and wake-up': 'N_WAITS=1 N_CHANGES=2 N_WAKEUPS=1',
    'changes and close': 'N_WAITS=1 N_CHANGES=1 N_CLOSES=1',
    'always ready': 'N_WAITS=2 N_FILES=1',
    'always ready for a while': 'N_WAITS=1 N_FILES=3 N_WAKEUPS=1',
    'always ready and main loop': 'N_WAITS=1 N_WAITS_2=1 N_FILES=1',
    'always ready and close': 'N_WAITS=1 N_FILES=2 N_CLOSES=1',
    'always ready and reinit': 'N_WAITS=1 N_FILES=1 N_REINITS=1',
    'close in update': 'N_WAITS=1 N_WAITS_2=1 N_VFUNC_CLOSES=1',
    'close in update, and another close': 'N_WAITS=1 N_VFUNC_CLOSES=1 N_CLOSES=1 N_WAKEUPS=1',
    'asynchronous wait': 'N_WAITS=0 N_ASYNC=2 N_WAKEUPS=1 N_CHANGES=1',
    'asynchronous wait and close': 'N_WAITS=0 N_ASYNC=2 N_CLOSES=1 N_WAKEUPS=1',
    'asynchronous wait and cancellation': 'N_WAITS=0 N_ASYNC=1 CANCELLABLE=1 N_CHANGES=1',
    'asynchronous wait and reinit': 'N_WAITS=0 N_ASYNC=1 N_REINITS=1 N_WAKEUPS=1',
    'asynchronous wait and others': 'N_WAITS=0 N_ASYNC=1 N_WAITS_2=1 N_WAKEUPS=1',
    'pauses': 'N_WAITS=1 N_CHANGES=1 N_PAUSES=2',
    'pauses and main loop': 'N_WAITS=1 N_WAITS_2=1 N_PAUSES=1',
    'pauses and reinit': 'N_WAITS=1 N_CHANGES=1 N_PAUSES=1 N_REINITS=1',
    'fork and waits': 'FORK=1 N_WAITS=1 N_WAITS_2=1',
    'fork and close': 'FORK=1 N_WAITS=1 N_CLOSES=2',
    'fork and reinit': 'FORK=1 N_WAITS=2 N_REINITS=1 N_WAKEUPS=1',
    'fork, reinit and close': 'FORK=1 N_WAITS=1 N_REINITS=1 N_CLOSES=1',
}

# The macro that takes the step out, the scenario, and what the step is.
VARIANTS = [
    ('WITHOUT_FAST_TEST', 'close', 'a wait begins without the lock only if OPEN alone is set'),
    ('WITHOUT_COMPARE', 'main loop', 'the slow path claims with a compare-and-exchange'),
    ('WITHOUT_WOKEN_FIRST', 'main loop', 'WOKEN is set before the signal'),
    ('WITHOUT_WOKEN_TEST_OF_PREPARE', 'main loop', 'a wait does not block if WOKEN is set'),
    ('WITHOUT_SOURCE_BELL', 'main loop', 'the end of a wait rings for the source that it has blocked'),
    ('WITHOUT_CLOSE_WAKE', 'close', 'close () wakes a thread that waits'),
    ('WITHOUT_CLOSED_TEST', 'close', 'CLOSED is tested after the wait'),
    ('WITHOUT_IN_WAIT_TEST_OF_RELEASE', 'close', 'close () does not release while a thread waits'),
    ('WITHOUT_RELEASE_OF_ABORT', 'close', 'a thread that waits releases after close ()'),
    ('WITHOUT_CANCELLED_TEST', 'reinit and cancellation', 'the cancellable is tested after the wait'),
    ('WITHOUT_IN_WAIT_TEST_OF_TAKE_OPEN', 'reinit', 'reinit () fails while a thread waits'),
    ('WITHOUT_OPEN_LAST', 'reinit', 'OPEN is set when everything is open'),
    ('WITHOUT_IN_USE', 'reinit and wake-up', 'the wake-up descriptor is not closed while it is signalled'),
    ('WITHOUT_CHANGE_WAKE', 'changes', 'a change wakes a wait that does not see it'),
    ('WITHOUT_ALWAYS_READY_WAKE', 'always ready', 'a descriptor that is always ready wakes a wait'),
    ('WITHOUT_TEST_OF_DRAIN', 'always ready', 'the wake-up descriptor is not drained beside such a descriptor'),
    ('WITHOUT_WAKE_OF_OPEN', 'always ready and reinit', 'the new wake-up descriptor is readable beside such a descriptor'),
    ('WITHOUT_CLOSE_LATER', 'close in update', 'the last unlock finishes what a virtual function has closed'),
    ('WITHOUT_WAS_RUNG', 'asynchronous wait and cancellation', 'an asynchronous wait looks after each ring of its bell'),
    ('WITHOUT_WOKEN_TEST_OF_SYNC', 'asynchronous wait and others', 'an asynchronous wait looks if WOKEN is set'),
    ('WITHOUT_BELL_OF_TAKE_WAKEUP', 'asynchronous wait and others', 'a main loop that drains a wake-up rings for it'),
    ('WITHOUT_BELL_OF_CLOSE', 'asynchronous wait and close', 'close () rings the bells of sources'),
    ('WITHOUT_BELL_OF_REINIT', 'asynchronous wait and reinit', 'reinit () rings the bells of sources'),
    ('WITHOUT_RELEASE_OF_LEAVE', 'asynchronous wait and close', 'a source that leaves after close () releases'),
    ('WITHOUT_PAUSED_FIRST', 'pauses', 'PAUSED is set before WAITING is tested'),
    ('WITHOUT_WAITING_TEST', 'pauses', 'nothing is paused while a thread waits'),
    ('WITHOUT_RESUME', 'pauses', 'a wait that begins resumes all'),
    ('WITHOUT_REARM_WAKE', 'pauses', 'a thread that waits learns that arming again has failed'),
    ('WITHOUT_FORK_COUNT', 'fork and waits', 'the fast path is not for a child that has not noticed the fork'),
    ('WITHOUT_FORK_LOCK', 'fork and waits', 'one thread of the child notices the fork'),
    ('WITHOUT_COUNT_LAST', 'fork and waits', 'the count of forks is stored last'),
    ('WITHOUT_CLOSE_OF_CHILD', 'fork and close', 'the child finishes what close () began in the parent'),
    ('WITHOUT_FORKED_TEST', 'fork and reinit', 'the child does not wake the parent'),
    ('WITHOUT_KEEPING_FORKED', 'fork and reinit', 'FORKED stays until the descriptor of the parent is closed'),
]


class Result:
    def __init__(self, output):
        self.output = output
        errors = re.search(r'errors: (\d+)', output)
        self.n_errors = int(errors.group(1)) if errors else None
        self.errors = re.findall(r'^pan:\d+: (.*?)(?: \(at depth \d+\))?$', output, re.M)
        states = re.search(r'(\d+) states, stored', output)
        self.n_states = int(states.group(1)) if states else 0
        self.unreached = {} # for each process that exists
        process = None
        for line in output.splitlines():
            header = re.match(r'unreached in (.*)', line)
            step = re.match(r'\t\S*:(\d+), state (\d+), (".*")', line)
            if header:
                process = header.group(1)
                self.unreached[process] = set()
            elif step:
                self.unreached[process].add((process,) + step.groups())

    def is_complete(self):
        return (self.n_errors == 0 and not self.errors and self.n_states > 100 and
                'Search not completed' not in self.output and 'max search depth too small' not in self.output)

    def has_error(self):
        """Returns True if spin has found an error in the model. A command that fails is no such error."""
        return self.n_errors == 1 and len(self.errors) == 1 and self.errors[0].startswith(
            ('assertion violated', 'invalid end state'))


def run(command, directory):
    process = subprocess.run(command, cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                             universal_newlines=True)
    return process.stdout, process.returncode == 0


def check(model, macros):
    """Has spin make a program out of the model, and runs it."""
    cc = shlex.split(os.environ.get('CC') or 'cc')
    with tempfile.TemporaryDirectory() as directory:
        for command in [
            ['spin', '-P' + ' '.join(cc + ['-E', '-x', 'c']), '-a'] + ['-D' + macro for macro in macros] + [model],
            cc + ['-w', '-O0', '-DSAFETY', '-DNOFAIR', '-o', 'pan', 'pan.c'],
        ]:
            output, success = run(command, directory)
            if not success:
                return Result(output)
        return Result(run(['./pan', '-m10000', '-w20'], directory)[0])


def sources(source):
    texts = []
    for folder, _, names in os.walk(os.path.join(source, 'sel-glib')):
        for name in names:
            if name.endswith(('.c', '.h')):
                with open(os.path.join(folder, name)) as f:
                    texts.append(f.read())
    return '\n'.join(texts)


def different_names(text, code):
    """Yields the names of the model that are not those of the code."""
    known = set(re.findall(r'\bg_\w+|\bsel_\w+', code))
    for name in sorted(set(re.findall(r'\b(?:g|sel)_\w+(?= \()', text)) - known):
        yield '%s is not in the code' % name
    flags = dict(re.findall(r'\bSEL_STATE_(\w+) = 1 << (\d+)', code))
    definitions = text.split('/* SelStateFlags */')[1].split('\n\n')[0]
    for name, value in re.findall(r'^#define ([A-Z_]+) (\d+)$', definitions, re.M):
        if flags.get(name) is None or int(value) != 1 << int(flags[name]):
            yield 'SEL_STATE_%s has another value in the code' % name


def different_variants(text):
    for name in sorted(set(re.findall(r'\bWITHOUT_[A-Z_]+[A-Z]\b', text)) ^ {name for name, _, _ in VARIANTS}):
        yield '%s is not both in the model and in the list of variants' % name


def main():
    source = os.path.abspath(sys.argv[1])
    model = os.path.join(source, 'tests', 'spin', 'wait.pml')
    missing = [tool for tool in ('spin', shlex.split(os.environ.get('CC') or 'cc')[0]) if not shutil.which(tool)]
    if missing:
        print('1..0 # SKIP missing tool: ' + ', '.join(missing))
        return

    with open(model) as f:
        text = f.read()

    n_tests = 0

    def report(name, success, comments):
        nonlocal n_tests
        n_tests += 1
        for comment in comments:
            print('# ' + comment)
        print('%s %d %s' % ('ok' if success else 'not ok', n_tests, name), flush=True)

    wrong = list(different_names(text, sources(source))) + list(different_variants(text))
    report('the names are those of the code', not wrong, wrong)

    unreached = {} # the steps of each process that no scenario takes
    with concurrent.futures.ThreadPoolExecutor(min(os.cpu_count() or 1, 4)) as pool:
        scenarios = [(name, pool.submit(check, model, macros.split())) for name, macros in SCENARIOS.items()]
        variants = [(macro, text, pool.submit(check, model, SCENARIOS[scenario].split() + [macro]))
                    for macro, scenario, text in VARIANTS]
        for name, future in scenarios:
            result = future.result()
            success = result.is_complete()
            report('no error: ' + name, success,
                   ['%d states' % result.n_states] if success else result.errors or result.output.splitlines())
            if 'FORK=1' not in SCENARIOS[name]: # which gives the states other numbers
                for process, steps in result.unreached.items():
                    unreached[process] = unreached.get(process, steps) & steps
        steps = set().union(*unreached.values())
        report('every step of the model is taken', not steps,
               ['%s: line %s, state %s, %s' % step for step in sorted(steps)])
        for macro, step, future in variants:
            result = future.result()
            success = result.has_error()
            report('an error without this step: ' + step, success,
                   [macro] + result.errors if success else [macro] + result.output.splitlines())

    print('1..%d' % n_tests)


main()
