"""What convolutions and transposed convolutions of any number of dimensions share."""

from chainlite import initializers
from chainlite.links._lazy import LazyLink
from chainlite.utils.conv_nd import as_tuple
from chainlite.variable import Parameter, as_array


class ConvolutionLink(LazyLink):
    """Holds W, (out_channels, in_channels / groups, \\*ksize), and b, (out_channels)."""

    _transposed = False  # if true, W is (in_channels, out_channels / groups, *ksize)

    def _make_params(self, ndim, in_channels, out_channels, ksize, groups, nobias, initialW, initial_bias):
        self.out_channels = out_channels
        self.groups = int(groups)
        self._ksize = as_tuple(ksize, ndim)
        with self.init_scope():
            self.W = Parameter(initializers._get_initializer(initialW))
            if in_channels is not None:
                self._initialize_params(in_channels)
            self.b = None if nobias else Parameter(initializers._get_initializer(initial_bias, 0), out_channels)

    def _initialize_params(self, in_channels):
        if self.out_channels % self.groups != 0:
            raise ValueError('the number of output channels must be divisible by the number of groups')
        if in_channels % self.groups != 0:
            raise ValueError('the number of input channels must be divisible by the number of groups')
        if self._transposed:
            channels = in_channels, self.out_channels // self.groups
        else:
            channels = self.out_channels, in_channels // self.groups
        self.W.initialize(channels + self._ksize)


class FromFilters(ConvolutionLink):
    """A convolution that can be made of its filters."""

    _ndim = None  # where the class has a number of dimensions of its own

    @classmethod
    def from_params(cls, W, b=None, stride=1, pad=0, nobias=False, **kwargs):
        """Makes a link of given filters (out, in / groups, \\*ksize) and bias (out; None for zeros)."""
        out_channels, in_channels, *ksize = W.shape
        return cls(
            *[len(ksize)] * (cls._ndim is None),
            in_channels * kwargs.get('groups', 1),
            out_channels,
            tuple(ksize),
            stride,
            pad,
            nobias,
            as_array(W),
            None if b is None else as_array(b),
            **kwargs,
        )
