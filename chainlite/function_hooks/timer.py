from chainlite import backend
from chainlite.function_hook import FunctionHook
from chainlite.function_hooks._measure import Stopwatch


class TimerHook(Stopwatch, FunctionHook):
    """Times each call of a function, forward and backward.

    ``with TimerHook() as hook: ...; hook.print_report()`` prints the seconds and calls of each kind of function.

    Attributes:
        call_history: List of (function name, seconds), in the order in which the calls ended.
    """

    name = 'TimerHook'
    _heading = 'FunctionName'

    def forward_preprocess(self, function, in_data):
        self._start(backend.get_array_module(*in_data))

    def forward_postprocess(self, function, in_data):
        self._stop(backend.get_array_module(*in_data), function._impl_name)

    def backward_preprocess(self, function, in_data, out_grad):
        self._start(backend.get_array_module(*in_data, *out_grad))

    def backward_postprocess(self, function, in_data, out_grad):
        self._stop(backend.get_array_module(*in_data, *out_grad), function._impl_name)
