"""Adjoint pairs: linear maps, each the other's gradient.

    Gather, Scatter = adjoint_pair('Gather', gather, 'Scatter', scatter)
    y, = Gather(x.shape, positions).apply((x,))

A map is given by two array functions, `forward(x, in_shape, *params)` and `transpose(y, in_shape, *params)`, where
`in_shape` is the shape that `forward` takes and `transpose` returns. Since each node's backward is the other node,
derivatives of every order are there.
"""

from chainlite.function_node import FunctionNode


class Adjoint(FunctionNode):
    """A linear map; its gradient is its `partner` with the same parameters.

    Attributes:
        in_shape: shape of the input of the first map of the pair.
        params: what both maps need to know; each is also an attribute, under the name it has in the array functions
            (which is Chainer's, as exporters and hooks read it).
    """

    run = None  # the array function
    partner = None
    _names = ()  # of params

    def __init__(self, in_shape, *params):
        self.in_shape, self.params = in_shape, params
        for name, value in zip(self._names, params):
            setattr(self, name, value)  # `__dict__` would make all attributes of the object slower

    def forward(self, inputs):
        return (self.run(inputs[0], self.in_shape, *self.params),)

    def backward(self, target_input_indexes, grad_outputs):
        return self.partner(self.in_shape, *self.params).apply(grad_outputs)

    def backward_arrays(self, target_input_indexes, grad_outputs):
        return (self.partner.run(grad_outputs[0], self.in_shape, *self.params),)


def adjoint_pair(name, forward, transpose_name, transpose, module=None, **attributes):
    """Two node classes for a linear map and its transpose. `attributes` (such as `check`) go to the first."""
    first = type(
        name, (Adjoint,), dict(run=staticmethod(forward), __module__=module, __doc__=forward.__doc__, **attributes)
    )
    second = type(
        transpose_name, (Adjoint,), dict(run=staticmethod(transpose), __module__=module, __doc__=transpose.__doc__)
    )
    first.partner, second.partner = second, first
    code = forward.__code__
    first._names = second._names = code.co_varnames[2 : code.co_argcount]
    return first, second
