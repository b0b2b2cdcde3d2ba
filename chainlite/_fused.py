"""Fused functions: a formula in other functions, run by kernels.

    class Softmax(Fused):
        check = 'x: f (*s)'

        def formula(self, x):                       # on Variables: the definition
            e = exp(x - max(x, self.axis))
            return e / sum(e, self.axis)

        def forward_kernel(self, x):                # on arrays: (y, what backward_kernel wants to know)
            y = softmax_kernel(x, self.axis)
            return y, y

        def backward_kernel(self, saved, gy, x):    # on arrays: the gradients of all inputs (None: no gradient)
            return softmax_grad_kernel(gy, saved, self.axis),

The kernels serve the forward pass and the first derivative; higher derivatives go through the formula, which tests
hold the kernels against.
"""

from chainlite._backprop import grad
from chainlite.configuration import config, using_config
from chainlite.function_node import FunctionNode
from chainlite.variable import Variable


class Fused(FunctionNode):
    """A function with kernels for the forward pass and the first derivative, and a formula for the rest.

    Several outputs are tuples: of `formula`, in `y` of `forward_kernel`, in `gy` of `backward_kernel` (None where
    there is no gradient).
    The formula must not depend on anything but its arguments and the node's attributes.
    """

    saved = None

    def formula(self, *xs):
        raise NotImplementedError(f'{self.label} can be differentiated once only')

    def forward_kernel(self, *xs):
        raise NotImplementedError

    def backward_kernel(self, saved, gy, *xs):
        raise NotImplementedError

    def forward(self, inputs):
        y, self.saved = self.forward_kernel(*inputs)
        return y if isinstance(y, tuple) else (y,)

    def select_retained(self, needs_grad):
        if needs_grad:
            self.retain_inputs(range(len(self.inputs)))

    def backward_arrays(self, target_input_indexes, grad_outputs):
        gy = grad_outputs if len(grad_outputs) > 1 else grad_outputs[0]
        gxs = self.backward_kernel(self.saved, gy, *[x.data for x in self.inputs])
        return tuple([gxs[i] for i in target_input_indexes])

    def backward(self, target_input_indexes, grad_outputs):
        node = FusedGrad(self, target_input_indexes, [g is not None for g in grad_outputs])
        gxs = iter(node.apply(self.get_retained_inputs() + tuple([g for g in grad_outputs if g is not None])))
        return tuple([next(gxs) if i in node.targets else None for i in target_input_indexes])


class FusedGrad(FunctionNode):
    """The backward kernel of a Fused function as a node: from its inputs and the known output gradients to the
    gradients `targets`."""

    def __init__(self, fused, targets, given):
        self.fused, self.targets, self.given = fused, targets, given
        self.n_inputs = len(fused.inputs)

    @property
    def label(self):
        return self.fused.label + 'Grad'

    def _split(self, inputs):
        """The inputs of the function, and one gradient (or None) for each of its outputs."""
        gys = iter(inputs[self.n_inputs :])
        return inputs[: self.n_inputs], tuple([next(gys) if known else None for known in self.given])

    def forward(self, inputs):
        xs, gys = self._split(inputs)
        gxs = self.fused.backward_kernel(self.fused.saved, gys if len(gys) > 1 else gys[0], *xs)
        self.targets = tuple([i for i in self.targets if gxs[i] is not None])
        return tuple([gxs[i] for i in self.targets])

    def select_retained(self, needs_grad):
        self.retain_inputs(tuple(range(len(self.inputs))))

    def backward(self, target_input_indexes, grad_outputs):
        # Derivatives are taken with respect to stand-ins of the inputs: the inputs themselves may depend on one
        # another.
        again = config.enable_backprop
        inputs = self.get_retained_inputs()
        with using_config('enable_backprop', True):
            inputs = [Identity().apply((x,))[0] if again else Variable(x.array) for x in inputs]
            xs, gys = self._split(inputs)
            ys = self.fused.formula(*xs)
            ys = ys if isinstance(ys, tuple) else (ys,)
            known = [k for k, g in enumerate(gys) if g is not None]
            gxs = grad(
                [ys[k] for k in known],
                [xs[i] for i in self.targets],
                [gys[k] for k in known],
                enable_double_backprop=True,
            )
        pairs = [(gx, ggx) for gx, ggx in zip(gxs, grad_outputs) if gx is not None and ggx is not None]
        return grad(
            [gx for gx, _ in pairs],
            [inputs[i] for i in target_input_indexes],
            [ggx for _, ggx in pairs],
            enable_double_backprop=again,
        )


class Identity(FunctionNode):
    """Returns its inputs."""

    def forward(self, inputs):
        return inputs

    def backward(self, target_input_indexes, grad_outputs):
        return tuple([grad_outputs[i] for i in target_input_indexes])

    def backward_arrays(self, target_input_indexes, grad_outputs):
        return tuple([grad_outputs[i] for i in target_input_indexes])
