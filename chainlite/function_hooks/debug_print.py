from chainlite import backend
from chainlite.function_hook import FunctionHook
from chainlite.variable import Variable


class PrintHook(FunctionHook):
    """Prints the arrays that enter each function, and on the way back the gradients of its outputs.

    Args:
        sep: Printed between values; a space by default.
        end: Printed after each line.
        file: Where to print; standard output by default.
        flush: Whether to flush ``file`` after each line.
    """

    name = 'PrintHook'

    def __init__(self, sep=None, end='\n', file=None, flush=True):
        self.sep = sep
        self.end = end
        self.file = file
        self.flush = flush

    def _print(self, text):
        print(text, sep=self.sep, end=self.end, file=self.file, flush=self.flush)

    def _process(self, function, in_data, out_grad=None):
        self._print(f'function\t{function.label}')
        self._print('input data')
        for array in in_data:
            # What a function does not retain is gone when gradients come back.
            self._print('(removed)' if array is None else Variable(array).debug_print())
        if out_grad is None:
            return
        self._print('output gradient')
        for grad in out_grad:
            if grad is None:
                self._print('(removed)')
                continue
            v = Variable(backend.get_array_module(grad).zeros_like(grad))
            v.grad = grad
            self._print(v.debug_print())

    def forward_preprocess(self, function, in_data):
        self._process(function, in_data)

    def backward_preprocess(self, function, in_data, out_grad):
        self._process(function, in_data, out_grad)
