"""One element of each row."""

from chainlite import backend
from chainlite.configuration import config
from chainlite.function_node import FunctionNode
from chainlite.functions.array.get_item import GetItemGrad


class SelectItem(FunctionNode):
    check = 'x: * (n _), t: i (n)'

    def forward(self, inputs):
        x, t = inputs
        if config.debug and not ((t >= 0).all() and (t < x.shape[1]).all()):
            msg = 'Each label `t` need to satisfy `0 <= t < x.shape[1]`'
            raise ValueError(msg)
        self.index = backend.get_array_module(x).arange(len(t)), t
        return (x[self.index],)

    def backward(self, target_input_indexes, grad_outputs):
        return *GetItemGrad(self.inputs[0].shape, self.index).apply(grad_outputs), None

    def backward_arrays(self, target_input_indexes, grad_outputs):
        gx = GetItemGrad.run(grad_outputs[0], self.inputs[0].shape, self.index)
        return tuple([gx if i == 0 else None for i in target_input_indexes])


def select_item(x, t):
    """Picks one element of each row: `y[i] = x[i, t[i]]`.

    Args:
        x: array (n, c).
        t: int array (n,).

    Returns:
        Variable of shape (n,).
    """
    return SelectItem().apply((x, t))[0]
