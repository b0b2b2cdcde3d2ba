"""Special functions: elementwise, computed by SciPy (CuPy has the same names), which is imported on use."""

import importlib

import numpy as np

from chainlite.function_node import FunctionNode


def special(name, *arrays):
    """`scipy.special.<name>` of arrays on either device.

    Raises:
        ImportError: SciPy is not installed.
    """
    library = 'scipy' if isinstance(arrays[-1], np.ndarray) else 'cupyx.scipy'
    try:
        function = getattr(importlib.import_module(library + '.special'), name)
    except ImportError:
        raise ImportError(f'SciPy is not available. Forward computation of {name} can not be done: pip install scipy')
    return function(*arrays)


class SpecialFunction(FunctionNode):
    """A special function of the last input; results have its dtype."""

    check = 'x: f'
    name = None  # in scipy.special
    fallback = None  # a function of floats, for where SciPy is missing

    @property
    def label(self):
        return self.name

    def forward(self, inputs):
        self.retain_inputs(tuple(range(len(inputs))))
        x = inputs[-1]
        try:
            y = special(self.name, *inputs)
        except ImportError:
            if self.fallback is None:
                raise
            y = np.vectorize(self.fallback, otypes=[x.dtype])(x)
        y = y.astype(x.dtype, copy=False)
        return (np.asarray(y) if isinstance(x, np.ndarray) else y,)

    def backward(self, target_input_indexes, grad_outputs):
        """The derivative by the last input times the gradient."""
        gx = grad_outputs[0] * self.derivative(*self.get_retained_inputs())
        return tuple([gx if i == len(self.inputs) - 1 else None for i in target_input_indexes])

    def derivative(self, *xs):
        """The derivative, as a Variable, at Variables."""
        raise NotImplementedError
