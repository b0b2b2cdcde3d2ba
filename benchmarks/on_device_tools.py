"""What the sections of on_device.py share: the device, clocks, rows of output."""

import contextlib
import json
import os
import statistics
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / 'tests'), str(ROOT / 'benchmarks')]

import cuda_on_cpu  # noqa: E402

cuda_on_cpu.install()  # if CHAINLITE_CUDA_ON_CPU asks for it

TINY = '--tiny' in sys.argv


def emit(**row):
    """Prints a row of the results."""
    print(json.dumps(row), flush=True)


def seconds_left():
    """Until this process is ended."""
    return float(os.environ.get('CHAINLITE_DEADLINE', 'inf')) - time.time()


@contextlib.contextmanager
def guarded(**labels):
    """An error inside becomes a row."""
    try:
        yield
    except Exception as error:
        emit(**labels, error=f'{type(error).__name__}: {error}'[:600])


def cupy_clock():
    """A function that gives the milliseconds between two points of CuPy's current stream: mark(), mark()."""
    import cupy

    return _EventClock(lambda: cupy.cuda.Event(), cupy.cuda.get_elapsed_time)


def torch_clock(torch):
    """The same for PyTorch; on a CPU the time of day."""
    if not torch.cuda.is_available():
        return _WallClock()
    return _EventClock(lambda: torch.cuda.Event(enable_timing=True), lambda a, b: a.elapsed_time(b))


class _EventClock:
    def __init__(self, event, elapsed):
        self.event, self.elapsed = event, elapsed

    def mark(self):
        event = self.event()
        event.record()
        return event

    def between(self, begin, end):
        end.synchronize()
        return self.elapsed(begin, end)


class _WallClock:
    def mark(self):
        return time.perf_counter()

    def between(self, begin, end):
        return (end - begin) * 1e3


def measure(clock, function, number):
    """Milliseconds of a call, of `number` in a row."""
    begin = clock.mark()
    for _ in range(number):
        function()
    return clock.between(begin, clock.mark()) / number


def milliseconds(functions, rounds=7, target=20.0):
    """{name: median milliseconds of a call} of {name: (clock, function)}: in turns, each for about `target` ms."""
    rounds, target = (2, 0.0) if TINY else (rounds, target)
    numbers = {}
    for name, (clock, function) in functions.items():
        function()
        once = measure(clock, function, 1)
        numbers[name] = max(1, min(200, round(target / max(once, 1e-3))))
    times = {name: [] for name in functions}
    for k in range(rounds):
        order = list(functions.items())
        for name, (clock, function) in order if k % 2 else reversed(order):
            times[name].append(measure(clock, function, numbers[name]))
    return {name: statistics.median(values) for name, values in times.items()}
