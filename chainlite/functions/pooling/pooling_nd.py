"""What the nodes of pooling share."""

from chainlite.function_node import FunctionNode
from chainlite.utils import type_check
from chainlite.utils._check import kind_of
from chainlite.utils.conv_nd import as_tuple, get_conv_outsize


class Linear(FunctionNode):
    """A linear map of one array to one; its gradient is another, which knows as much about the windows."""

    def transposed(self):
        """The node that is the gradient."""
        raise NotImplementedError

    def backward(self, target_input_indexes, grad_outputs):
        return self.transposed().apply(grad_outputs)

    def backward_arrays(self, target_input_indexes, grad_outputs):
        return self.transposed().forward(grad_outputs)


class _PoolingND(Linear):
    """A window slides over x (n, c, d_1, ..., d_N) and gives one element for each place.

    Attributes:
        ndim: the number N of spatial dimensions.
        ksize, stride, pad: tuples of N ints.
        cover_all: whether there are windows for all elements.
    """

    def __init__(self, ndim, ksize, stride=None, pad=0, cover_all=True, return_indices=False):
        self.ndim = ndim
        self.ksize = as_tuple(ksize, ndim)
        self.stride = as_tuple(ksize if stride is None else stride, ndim)
        self.pad = as_tuple(pad, ndim)
        self.cover_all = cover_all
        self.return_indices = return_indices

    def _check_data_type_forward(self, in_data):
        x = in_data[0]
        if len(in_data) != 1 or kind_of(x.dtype) != 'f' or x.ndim != self.ndim + 2:
            super()._check_data_type_forward(in_data)  # says in detail what is wrong

    def check_type_forward(self, in_types):
        type_check.expect(in_types.size() == 1, in_types[0].dtype.kind == 'f', in_types[0].ndim == self.ndim + 2)

    def _outs(self, dims):
        """Number of windows along each axis."""
        outs = tuple(
            [
                get_conv_outsize(size, k, s, p, self.cover_all)
                for size, k, s, p in zip(dims, self.ksize, self.stride, self.pad)
            ]
        )
        self._check_positive(outs)
        return outs

    def _check_positive(self, outs):
        assert all([out > 0 for out in outs]), 'Output sizes should be positive.'

    @property
    def _window(self):
        return self.ksize, self.stride, self.pad
