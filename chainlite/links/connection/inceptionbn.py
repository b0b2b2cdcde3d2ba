from chainlite.functions.activation.relu import relu
from chainlite.functions.array.concat import concat
from chainlite.functions.pooling.average_pooling_2d import average_pooling_2d
from chainlite.functions.pooling.max_pooling_2d import max_pooling_2d
from chainlite.link import Chain
from chainlite.links.connection.convolution_2d import Convolution2D
from chainlite.links.normalization.batch_normalization import BatchNormalization


class InceptionBN(Chain):
    """Inception module with batch normalization: up to four branches whose channels are concatenated.

    Args:
        in_channels: Channels of the input; None takes them from the first input.
        out1: Output channels of the 1 x 1 branch; 0 for none, which ``stride`` > 1 needs.
        proj3, out3: Channels inside the 3 x 3 branch, and at its end.
        proj33, out33: Channels inside the branch of two 3 x 3 convolutions, and at its end.
        pooltype: ``'max'`` or ``'avg'``.
        proj_pool: Output channels of the pooling branch; None leaves the input's.
        stride: Step of the last convolution of each branch.
        conv_init: Initializer of the filters, LeCunNormal by default.
        dtype: Dtype of the parameters of the normalizations.

    See: Ioffe and Szegedy, Batch Normalization, https://arxiv.org/abs/1502.03167
    """

    def __init__(
        self,
        in_channels,
        out1,
        proj3,
        out3,
        proj33,
        out33,
        pooltype,
        proj_pool=None,
        stride=1,
        conv_init=None,
        dtype=None,
    ):
        super().__init__()
        if pooltype not in ('max', 'avg'):
            raise NotImplementedError(f"InceptionBN: pooltype must be 'max' or 'avg', not {pooltype!r}")
        if out1 > 0 and (stride != 1 or proj_pool is None):
            raise AssertionError('InceptionBN: the 1 x 1 branch (out1 > 0) needs stride=1 and a number for proj_pool')
        self.out1 = out1
        self.proj_pool = proj_pool
        self.stride = stride
        self.pooltype = pooltype

        def convolution(n_in, n_out, ksize, stride=1):
            return Convolution2D(n_in, n_out, ksize, stride, ksize // 2, nobias=True, initialW=conv_init)

        def normalization(n):
            return BatchNormalization(n, dtype=dtype)

        with self.init_scope():
            self.proj3 = convolution(in_channels, proj3, 1)
            self.conv3 = convolution(proj3, out3, 3, stride)
            self.proj33 = convolution(in_channels, proj33, 1)
            self.conv33a = convolution(proj33, out33, 3)
            self.conv33b = convolution(out33, out33, 3, stride)
            self.proj3n = normalization(proj3)
            self.conv3n = normalization(out3)
            self.proj33n = normalization(proj33)
            self.conv33an = normalization(out33)
            self.conv33bn = normalization(out33)
            if out1 > 0:
                self.conv1 = convolution(in_channels, out1, 1)
                self.conv1n = normalization(out1)
            if proj_pool is not None:
                self.poolp = convolution(in_channels, proj_pool, 1)
                self.poolpn = normalization(proj_pool)

    def forward(self, x):
        """Maps ``x``, (n, in_channels, h, w), to the concatenated channels of the branches."""
        branches = []
        if self.out1 > 0:
            branches.append(relu(self.conv1n(self.conv1(x))))
        h = relu(self.proj3n(self.proj3(x)))
        branches.append(relu(self.conv3n(self.conv3(h))))
        h = relu(self.proj33n(self.proj33(x)))
        h = relu(self.conv33an(self.conv33a(h)))
        branches.append(relu(self.conv33bn(self.conv33b(h))))
        h = self._pool(x)
        branches.append(h if self.proj_pool is None else relu(self.poolpn(self.poolp(h))))
        return concat(branches)

    def _pool(self, x):
        if self.pooltype == 'avg':
            return average_pooling_2d(x, 3, self.stride, 1)
        return max_pooling_2d(x, 3, self.stride, 1, cover_all=False)
