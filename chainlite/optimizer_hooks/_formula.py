"""What hooks that are one formula of single parameters share."""

from chainlite.backend import using_device


class FormulaHook:
    """Gives each gradient the value of a formula, in place; a subclass says in `step` which."""

    call_for_each_param = True
    timing = 'pre'

    def __call__(self, rule, param):
        p, g = param.array, param.grad
        if p is None or g is None:
            return
        formula, scalars = self.step(param._loss_scale)
        with using_device(param.device):
            formula(*(g, p)[: len(formula.inputs)], **scalars, out=g)

    def step(self, loss_scale):
        """The equations of the new gradient, of the gradient and perhaps the parameter, and their scalars.

        Args:
            loss_scale (float): By what the gradient is multiplied, or None.
        """
        raise NotImplementedError
