"""Names for the order in which arrays keep their dimensions.

Every Variable shows the standard order, None: other orders are an implementation's own affair here.  The names of
Chainer's layouts exist so that programs which compare with them run.
"""

from chainlite.function_node import FunctionNode

CUDNN_CHANNEL_FIRST_X = None
CUDNN_CHANNEL_FIRST_W = None
CUDNN_CHANNEL_LAST_X = 'CUDNN_CHANNEL_LAST_X'
CUDNN_CHANNEL_LAST_W = 'CUDNN_CHANNEL_LAST_W'

_CHANNELS_LAST = (CUDNN_CHANNEL_LAST_X, CUDNN_CHANNEL_LAST_W)
_unspecified = object()


def get_raw_shape(arr_or_var):
    """Sizes of an array or Variable in the order in which they are kept."""
    return arr_or_var.shape


def get_semantic_shape(arr_or_var, *, assumed_layout=_unspecified):
    """Sizes of an array or Variable in the standard order, (n, c, ...).

    Args:
        arr_or_var: array or Variable.
        assumed_layout: the layout of the array, if it is not the standard one.
    """
    shape = arr_or_var.shape
    if assumed_layout in _CHANNELS_LAST and not hasattr(arr_or_var, 'layout'):
        return (shape[0], shape[-1], *shape[1:-1])
    return shape


class AsLayout(FunctionNode):
    """The identity: changes to the standard layout, which everything has."""

    axes = None
    in_layout = None

    def __init__(self, layout):
        if layout is not None:
            raise ValueError(f'unknown memory layout: {layout}')
        self.out_layout = layout

    def check_type_forward(self, in_types):
        pass

    def forward(self, inputs):
        return inputs

    def backward(self, indexes, grad_outputs):
        return grad_outputs
