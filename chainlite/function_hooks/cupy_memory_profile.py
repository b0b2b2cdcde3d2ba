from chainlite.backends import cuda
from chainlite.function_hook import FunctionHook
from chainlite.function_hooks import _measure

_UNITS = {unit: 1024**i for i, unit in enumerate(('B', 'KB', 'MB', 'GB', 'TB', 'PB', 'EB', 'ZB'))}  # bytes


class CupyMemoryProfileHook(FunctionHook):
    """Counts the GPU memory that each call of a function takes.

    Used bytes were handed out by CuPy's memory pool, acquired bytes are those for which the pool had to ask the device.

    Attributes:
        call_history: List of (function name, used bytes, acquired bytes, depth), in the order in which the calls
            ended. A call inside another has a greater depth, and counts in the other too.

    Raises:
        RuntimeError: without CUDA.
    """

    name = 'CupyMemoryProfileHook'

    def __init__(self):
        cuda.check_cuda_available()
        self.call_history = []
        self._memory_hook = _make_memory_hook()
        self._running = []
        self._total_used_bytes = 0
        self._total_acquired_bytes = 0

    def added(self, function=None):
        self._memory_hook.__enter__()

    def deleted(self, function=None):
        self._memory_hook.__exit__()

    def _preprocess(self):
        self._running.append((self._memory_hook.used_bytes, self._memory_hook.acquired_bytes))

    def _postprocess(self, function):
        used, acquired = self._running.pop()
        used = self._memory_hook.used_bytes - used
        acquired = self._memory_hook.acquired_bytes - acquired
        depth = len(self._running)
        self.call_history.append((function._impl_name, used, acquired, depth))
        if depth == 0:
            self._total_used_bytes += used
            self._total_acquired_bytes += acquired

    def forward_preprocess(self, function, in_data):
        self._preprocess()

    def forward_postprocess(self, function, in_data):
        self._postprocess(function)

    def backward_preprocess(self, function, in_data, out_grad):
        self._preprocess()

    def backward_postprocess(self, function, in_data, out_grad):
        self._postprocess(function)

    def total_used_bytes(self):
        """Returns the bytes handed out to functions, those of calls inside other calls counted once."""
        return self._total_used_bytes

    def total_acquired_bytes(self):
        """Returns the bytes taken from the device, those of calls inside other calls counted once."""
        return self._total_acquired_bytes

    def summary(self):
        """Returns a dictionary from each name to its ``used_bytes``, ``acquired_bytes`` and ``occurrence``."""
        return _measure.sum_by_name(('used_bytes', 'acquired_bytes'), [row[:3] for row in self.call_history])

    def print_report(self, unit='auto', file=None):
        """Prints the summary as a table.

        Args:
            unit: ``'B'``, ``'KB'`` (1024 bytes) up to ``'ZB'``; ``'auto'`` takes for each column what suits its
                largest number, and ``'auto_foreach'`` what suits each number.
            file: Where to print; standard output by default.
        """
        _measure.print_table(
            'FunctionName',
            {'used_bytes': 'UsedBytes', 'acquired_bytes': 'AcquiredBytes'},
            self.summary(),
            unit,
            lambda size, unit: size / _UNITS[unit],
            lambda size: self._choose_unit(size)[1],
            file,
        )

    def _choose_unit(self, size):
        """Returns the largest unit, in bytes and by name, of which ``size`` has at least one."""
        return next(((n, unit) for unit, n in reversed(_UNITS.items()) if size >= n), (1, 'B'))


def _make_memory_hook():
    class CumulativeHook(cuda.cupy.cuda.memory_hook.MemoryHook):  # the base exists only where CuPy does
        name = 'CumulativeHook'
        used_bytes = 0
        acquired_bytes = 0

        def alloc_preprocess(self, device_id, mem_size):
            self.acquired_bytes += mem_size

        def malloc_preprocess(self, device_id, size, mem_size):
            self.used_bytes += mem_size

    return CumulativeHook()
