"""The three frameworks as objects with one interface: ``build(case)`` gives the checksums, ``run(number)`` seconds.

chainlite runs in this process, each of the others in a worker process that lives as long as the benchmark and answers
one JSON line to each; only its own clock is read, so the pipe costs nothing. Chainer needs an old NumPy, and what
chainlite sets for the whole process (how malloc keeps memory, how OpenMP's threads wait) changes PyTorch's times too.
Run as a program, this file is that worker. It keeps to syntax of Python 3.8.
"""

import importlib
import json
import os
import subprocess
import sys
import time

import numpy as np

IMPORT_SECONDS = """
import time
import numpy
begin = time.perf_counter()
import {0}
print(time.perf_counter() - begin)
"""
CHECKED_STEPS = 3
clock = time.process_time if os.environ.get('BENCHMARK_CLOCK') == 'process' else time.perf_counter


def checksum(result):
    """Two floats for what a step returned: a weighted sum that notices order, and the scale errors are held against."""
    total = scale = 0.0
    for a in result if isinstance(result, tuple) else (result,):
        a = getattr(a, 'array', a)
        a = np.asarray(a.detach() if hasattr(a, 'detach') else a, np.float64).ravel()
        weighted = a * np.cos(np.arange(a.size))
        total += weighted.sum()
        scale += abs(weighted).sum()
    return float(total), float(scale)


class InProcess:
    """A framework in this process: ``module`` is what the functions of ``cases`` take, ``only`` how those begin that it
    is there for."""

    only = ''

    def __init__(self, name, module, cases):
        self.name, self.module, self.cases = name, module, cases
        self.version = sys.modules[name].__version__
        self.step = None

    def build(self, case):
        self.step = None
        self.step = getattr(self.cases, 'time_' + case)(self.module)
        return [checksum(self.step()) for _ in range(CHECKED_STEPS)]

    def run(self, number):
        step = self.step
        begin = clock()
        for _ in range(number):
            step()
        return clock() - begin

    def import_seconds(self):
        done = subprocess.run(
            [sys.executable, '-W', 'ignore', '-c', IMPORT_SECONDS.format(self.name)], stdout=subprocess.PIPE, check=True
        )
        return float(done.stdout)


def in_process(name):
    """The framework of a name, imported here."""
    if name.endswith(' channels_last'):
        return channels_last(name.split()[0])
    module = importlib.import_module(name)
    if name != 'torch':
        return InProcess(name, module, importlib.import_module('chainer_cases'))
    if 'OMP_NUM_THREADS' in os.environ:
        module.set_num_threads(int(os.environ['OMP_NUM_THREADS']))
    return InProcess(name, module, importlib.import_module('torch_cases'))


class ChannelsLast:
    """A framework whose images (and filters, in PyTorch), made of arrays, are channels last."""

    def __init__(self, module):
        self._module = module

    def __getattr__(self, name):
        return getattr(self._module, name)

    def from_numpy(self, a):
        tensor = self._module.from_numpy(a)
        return tensor.to(memory_format=self._module.channels_last) if a.ndim == 4 else tensor

    def Variable(self, a):
        if a.ndim == 4:
            a = np.ascontiguousarray(a.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
        return self._module.Variable(a)


def channels_last(name):
    """chainlite or PyTorch; the latter recommends this layout for convolutional networks."""
    framework = in_process(name)
    framework.name, framework.module = name + ' channels_last', ChannelsLast(framework.module)
    return framework


class Worker:
    """A framework in a process of its own, started with the given Python."""

    only = ''

    def __init__(self, name, python):
        self.name = name
        environment = dict(os.environ, CHAINER_WARN_VERSION_MISMATCH='0')
        environment.pop('PYTHONPATH', None)
        self.process = subprocess.Popen(
            [python, '-W', 'ignore', os.path.abspath(__file__), name],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.version = self._call('version')

    def _call(self, *command):
        self.process.stdin.write(json.dumps(command) + '\n')
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f'the worker for {self.name} ended with status {self.process.wait()}')
        answer = json.loads(line)
        if 'error' in answer:
            raise RuntimeError(answer['error'])
        return answer['value']

    def build(self, case):
        return self._call('build', case)

    def run(self, number):
        return self._call('run', number)

    def import_seconds(self):
        return self._call('import_seconds')

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def serve(framework):
    """Answer commands, one JSON line each, until the input ends."""
    answers = os.fdopen(os.dup(1), 'w')
    os.dup2(2, 1)  # whatever a library prints must not mix with the answers
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        try:
            value = getattr(framework, name)
            answer = {'value': value(*arguments) if callable(value) else value}
        except Exception as error:
            answer = {'error': f'{type(error).__name__}: {error}'}
        answers.write(json.dumps(answer) + '\n')
        answers.flush()


if __name__ == '__main__':
    serve(in_process(sys.argv[1]))
