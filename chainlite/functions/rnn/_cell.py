"""Cells: the equations of one time step, on gates that share an array.

    @elementwise(outputs='c h ...')                     # outputs after the first two are kept for the gradient
    def LSTMCell(c_prev, a, i, f, o): ...

    class LSTM(Cell):
        cell = LSTMCell
        def split(self, c_prev, x): ...                 # the cell's inputs, as parts of the node's

The gates stand side by side in one array because one matrix product makes them all. The kernels read and write them
where they are; derivatives of higher order go through the cell as a function of its own.
"""

from chainlite import backend
from chainlite._backprop import grad
from chainlite._elementwise import ElementwiseGrad
from chainlite._fused import Fused
from chainlite.backends._equations import Equations
from chainlite.variable import Variable, as_variable


class Cell(Fused):
    """A node that runs the elementwise node class `cell` on parts of its inputs and returns its first two outputs."""

    cell = None

    def split(self, *inputs):
        """The inputs of the cell, from arrays (as views if these are contiguous) or from Variables."""
        raise NotImplementedError

    def formula(self, *inputs):
        return self.cell().apply(self.split(*inputs))[:2]

    def forward_kernel(self, *inputs):
        equations = self.cell.equations()
        ys = equations.run(self.split(*inputs))
        return ys[:2], dict(zip(equations.outputs, ys))

    def backward_kernel(self, saved, gy, *inputs):
        gxs = [backend.get_array_module(x).empty(x.shape, x.dtype) for x in inputs]
        back, arguments = gradient(self.cell.equations(), self.split(*inputs), saved, gy)
        back.run_into(arguments, (), tuple(self.split(*gxs)))
        return gxs


class CellGrad:
    """The gradients of a node's inputs as a function: of these, the new cell, and the gradients of cell and output."""

    node = None  # class derived from Cell

    def __call__(self, *inputs):
        *xs, c, gc, gh = map(as_variable, inputs)
        node = self.node()
        equations = node.cell.equations()
        y, h = list(equations.outputs)[:2]
        # with two outputs only, everything else is computed from the inputs and the new cell
        equations = Equations(equations.label, equations.inputs, (), {k: equations.outputs[k] for k in (y, h)})
        back, arguments = gradient(equations, node.split(*xs), {y: c, h: None}, (gc, gh))
        derivative = ElementwiseGrad()
        derivative._equations = back
        xs = [Variable(x.array) for x in xs]
        return grad(node.split(*xs), xs, derivative.apply(arguments), enable_double_backprop=True)


def gradient(equations, inputs, outputs, gys):
    """The equations of the gradients of all inputs, and their arguments.

    Args:
        inputs: arrays or Variables.
        outputs: dictionary of the outputs by name.
        gys: gradients of the first outputs, None for zero.
    """
    known = {y: g for y, g in zip(equations.outputs, gys) if g is not None}
    back = equations.gradient(equations.inputs, tuple(known))
    arrays = dict(zip(equations.inputs, inputs), **outputs, **{'g' + y: g for y, g in known.items()})
    return back, [arrays[name] for name in back.inputs]
