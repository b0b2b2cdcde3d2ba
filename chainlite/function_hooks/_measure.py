"""What the measuring hooks share: nested stopwatches, totals by name, and the printed table."""

import time

import numpy

from chainlite.backends import cuda

TIME_UNITS = {'sec': 1, 'ms': 10**3, 'us': 10**6, 'ns': 10**9}  # per second


class Stopwatch:
    """Times calls that may contain each other.

    Attributes:
        call_history: List of (name, seconds), in the order in which the calls ended. A call's time includes what it
            called.
    """

    table = TIME_UNITS
    _heading = 'Name'

    def __init__(self):
        self.call_history = []
        self._running = []
        self._total_time = 0

    def _start(self, xp):
        if xp is numpy:
            self._running.append(time.perf_counter())
        else:  # kernels run behind the host's back: let the device take its own time
            event = cuda.Event()
            event.record()
            self._running.append(event)

    def _stop(self, xp, name):
        start = self._running.pop()
        if xp is numpy:
            elapsed = time.perf_counter() - start
        else:
            end = cuda.Event()
            end.record()
            end.synchronize()
            elapsed = cuda.cupy.cuda.get_elapsed_time(start, end) / 1000
        self.call_history.append((name, elapsed))
        if not self._running:
            self._total_time += elapsed

    def total_time(self):
        """Returns the seconds spent in calls, those inside other calls counted once."""
        return self._total_time

    def summary(self):
        """Returns a dictionary from each name to its ``elapsed_time`` (seconds) and ``occurrence`` (calls)."""
        return sum_by_name(('elapsed_time',), self.call_history)

    def print_report(self, unit='auto', file=None):
        """Prints the summary as a table.

        Args:
            unit: ``'sec'``, ``'ms'``, ``'us'``, ``'ns'``; ``'auto'`` takes what suits the longest time, and
                ``'auto_foreach'`` what suits each.
            file: Where to print; standard output by default.
        """

        def largest_fitting(seconds):
            return next((u for u, per_second in TIME_UNITS.items() if seconds * per_second >= 1), 'ns')

        def scale(seconds, unit):
            return seconds * TIME_UNITS[unit]

        print_table(self._heading, {'elapsed_time': 'ElapsedTime'}, self.summary(), unit, scale, largest_fitting, file)


def sum_by_name(fields, history):
    """Adds up ``history``, rows of a name and a number for each of ``fields``, and counts the rows of each name."""
    summary = {}
    for name, *numbers in history:
        row = summary.setdefault(name, dict.fromkeys((*fields, 'occurrence'), 0))
        for field, number in zip(fields, numbers):
            row[field] += number
        row['occurrence'] += 1
    return summary


def print_table(heading, columns, summary, unit, scale, choose_unit, file):
    """Prints one line for each name of ``summary``, columns aligned to the right.

    Args:
        heading: Title of the names.
        columns: Dictionary from the fields of a row to their titles.
        summary: What :func:`sum_by_name` returns.
        unit: A unit, ``'auto'`` or ``'auto_foreach'``.
        scale: Function of a number and a unit that gives the number in that unit.
        choose_unit: Function of a number that gives the unit to print it in.
        file: Where to print; None for standard output.
    """

    def cells(field):
        numbers = [row[field] for row in summary.values()]
        if unit == 'auto_foreach':
            units = map(choose_unit, numbers)
        else:
            units = [choose_unit(max(numbers, default=0)) if unit == 'auto' else unit] * len(numbers)
        return [f'{scale(number, u):.2f}{u}' for number, u in zip(numbers, units)]

    table = [[heading, *summary]]
    table += [[title, *cells(field)] for field, title in columns.items()]
    table += [['Occurrence', *(str(row['occurrence']) for row in summary.values())]]
    widths = [max(map(len, column)) for column in table]
    for line in zip(*table):
        print('  '.join(cell.rjust(width) for cell, width in zip(line, widths)), file=file)
