"""Bilinear functions, three at a time.

Convolution is linear in the image and in the filter. Paired with a third array its result gives a number,
<conv(x, W), y>, that is linear in each of three arrays x, W, y. Differentiated by one of them it is a function of the
two others: convolution (by y), transposed convolution (by x), the filter's gradient (by W); and the gradients of these
three functions are these three again. So three kernels give three nodes and every order of derivative.

    class Convolution(Bilinear):               # place 2, y
        place, parameters = 2, ('stride', 'pad')
        def run(self, x, W): ...
    class Deconvolution(Bilinear): ...         # place 0, x: run(self, W, y)
    class ConvolutionGradW(Bilinear): ...      # place 1, W: run(self, x, y)
    Bilinear.tie(Deconvolution, ConvolutionGradW, Convolution)
"""

from chainlite.function_node import FunctionNode
from chainlite.variable import operations

_RETAINED = {(True, True): (0, 1), (True, False): (1,), (False, True): (0,), (False, False): ()}  # one for the other


class Bilinear(FunctionNode):
    """Yields one of the three arrays of a trilinear form from the other two.

    Attributes:
        place: 0, 1 or 2: where the result stands among the three.
        gradients: for each input the class of the node that yields its gradient, and whether that takes the gradient
            of the output before the other input; set by `tie`.
        parameters: names of the attributes that the three nodes share.
        shape, dtype: of the result where the node was made as a gradient, else None.

    An optional third input is a bias, added along `bias_axis` of the result.
    """

    place = None
    gradients: list = []
    parameters = ()
    shape = dtype = None
    bias_axis = 1

    @staticmethod
    def tie(*nodes):
        """Declares the three node classes of a form, in the order of their places."""
        for node in nodes:
            others = [k for k in range(3) if k != node.place]
            node.gradients = [(nodes[k], node.place < other) for k, other in zip(others, reversed(others))]

    def run(self, a, b):
        """The kernel: an array from the two others, in the order of their places."""
        raise NotImplementedError

    def forward(self, inputs):
        y = self.run(*inputs[:2])
        if len(inputs) == 3:
            y += inputs[2].reshape(-1, *[1] * (y.ndim - 1 - self.bias_axis % y.ndim))
        return (y,)

    def select_retained(self, needs_grad):
        self.retain_inputs(_RETAINED[0 in needs_grad, 1 in needs_grad])

    def _gradient_node(self, i, gy, other):
        """For input i: the node that yields its gradient, and that node's two inputs."""
        cls, gy_is_first = self.gradients[i]
        node, x = cls.__new__(cls), self.inputs[i]
        for name in self.parameters:
            setattr(node, name, getattr(self, name))
        node.shape, node.dtype = x.shape, x.dtype
        return node, (gy, other) if gy_is_first else (other, gy)

    def _bias_axes(self, gy):
        return tuple([i for i in range(gy.ndim) if i != self.bias_axis % gy.ndim])

    def bias_gradient(self, gy):
        """The sum of an array over all axes but that of the bias."""
        return gy.sum(self._bias_axes(gy), dtype='f' if gy.dtype.itemsize == 2 else None)

    def backward_arrays(self, target_input_indexes, grad_outputs):
        (gy,) = grad_outputs
        gxs = []
        for i in target_input_indexes:
            if i == 2:
                gxs.append(self.bias_gradient(gy).astype(self.inputs[2].dtype, copy=False))
            else:
                node, inputs = self._gradient_node(i, gy, self.inputs[1 - i].data)
                gxs.append(node.run(*inputs))
        return tuple(gxs)

    def backward(self, target_input_indexes, grad_outputs):
        (gy,) = grad_outputs
        gxs = []
        for i in target_input_indexes:
            if i == 2:
                gxs.append(operations.cast(operations.sum(gy, self._bias_axes(gy)), self.inputs[2].dtype))
            else:
                node, inputs = self._gradient_node(i, gy, self.inputs[1 - i].get_variable())
                gxs += node.apply(inputs)
        return tuple(gxs)
