"""Progress bars on a terminal."""

import datetime
import sys
import time


class ProgressBar:
    """Lines on a terminal that are written again and again in one place. Subclasses override :meth:`get_lines`.

    Args:
        bar_length: Number of characters of a bar; 50 if None.
        out: Stream; None for the standard output.
    """

    def __init__(self, bar_length=None, out=None):
        self._bar_length = 50 if bar_length is None else bar_length
        self._out = sys.stdout if out is None else out
        self._recent_timing = []

    def update_speed(self, iteration, epoch_detail):
        """Returns iterations and epochs per second since ten updates ago."""
        now = time.monotonic()
        self._recent_timing.append((iteration, epoch_detail, now))
        old_iteration, old_epoch, old_time = self._recent_timing[0]
        self._recent_timing = self._recent_timing[-10:]
        seconds = now - old_time
        if not seconds:
            return float('inf'), float('inf')
        return (iteration - old_iteration) / seconds, (epoch_detail - old_epoch) / seconds

    def get_lines(self):
        """Returns the lines to write, each with its end."""
        raise NotImplementedError

    def update(self):
        """Writes the lines."""
        self.erase_console()
        lines = self.get_lines()
        for line in lines:
            self._out.write(line)
        self.move_cursor_up(len(lines))
        self.flush()

    def close(self):
        """Removes the lines."""
        self.erase_console()
        self.flush()

    def erase_console(self):
        """Erases what is below the cursor."""
        self._out.write('\033[J')

    def move_cursor_up(self, n):
        """Moves the cursor ``n`` lines up."""
        self._out.write(f'\033[{n:d}A')

    def flush(self):
        """Flushes the stream, if it can."""
        if hasattr(self._out, 'flush'):
            self._out.flush()

    def _bar(self, title, rate):
        marks = '#' * int(rate * self._bar_length)
        return f'{title} [{marks:.<{self._bar_length}}] {rate:6.2%}\n'


def speed_line(speed, remaining):
    """Returns the line with the speed in iterations per second and the time left in seconds."""
    return f'{speed:10.5g} iters/sec. Estimated time to finish: {datetime.timedelta(seconds=remaining)}.\n'
