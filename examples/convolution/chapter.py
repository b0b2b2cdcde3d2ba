"""A textbook chapter on convolution, number by number: what its formulas say, beside what chainlite computes.

    python examples/convolution/chapter.py

Every line is checked: the program ends with an error where the two differ.
"""

import numpy as np

import chainlite as chainer
import chainlite.functions as F
import chainlite.links as L

random = np.random.RandomState(0)


def array(*shape):
    return random.standard_normal(shape).astype(np.float32)


def check(what, expected, computed):
    """Prints a line; the two must be equal, arrays but for rounding."""
    if isinstance(expected, np.ndarray):
        np.testing.assert_allclose(computed, expected, rtol=1e-4, atol=1e-5)
        print(f'{what}: equal, {" x ".join(map(str, expected.shape))}')
    else:
        assert expected == computed, (what, expected, computed)
        print(f'{what}: {expected}')


# ---- convolution


def conv_size(n, f, s=1, p=0):
    """Equation 1: windows of f pixels that fit into n pixels with padding p at both ends, s pixels apart."""
    return (n + 2 * p - f) // s + 1


def by_definition(x, W, b, s):
    """Equation 2, for one image (c, n, n) and filters (m, c, f, f): each output is a sum over one window."""
    m, _, f, _ = W.shape
    size = conv_size(x.shape[1], f, s)
    z = np.empty((m, size, size), np.float32)
    for k, i, j in np.ndindex(z.shape):
        z[k, i, j] = b[k] + (x[:, i * s : i * s + f, j * s : j * s + f] * W[k]).sum()
    return z


def sizes():
    for what, (n, c, f, s, p, m) in {
        'figure 2': (5, 3, 3, 2, 1, 2),
        'figure 3, first layer': (39, 3, 3, 1, 0, 10),
        'figure 5': (37, 10, 5, 2, 0, 20),
        'a filter of 5 x 5': (32, 3, 5, 1, 0, 1),
        'ten filters of 5 x 5, padding 2': (32, 3, 5, 1, 2, 10),
        'Convolution2D(3, 16, 3)': (32, 3, 3, 1, 0, 16),
        'exercise 2, first': (64, 3, 6, 2, 1, 10),
        'exercise 2, second': (17, 8, 5, 1, 0, 10),
    }.items():
        size = conv_size(n, f, s, p)
        check(what, (1, m, size, size), L.Convolution2D(c, m, f, s, p)(array(1, c, n, n)).shape)
    link = L.Convolution2D(3, 16, 3)
    check('its weight and bias', [(16, 3, 3, 3), (16,)], [link.W.shape, link.b.shape])
    x, W, b = array(1, 3, 7, 7), array(2, 3, 3, 3), array(2)
    check('equation 2', by_definition(x[0], W, b, 2), F.convolution_2d(x, W, b, stride=2).array[0])


def as_one_product():
    """Figure 5: the windows as columns, the filters as rows."""
    x, W = array(1, 10, 37, 37), array(20, 10, 5, 5)
    columns = F.im2col(x, 5, 2).array.reshape(250, -1)
    rows = W.reshape(20, -1)
    product = rows @ columns
    shapes = [columns.shape, rows.shape, product.shape]
    check('figure 5: columns, rows, product', [(250, 289), (20, 250), (20, 289)], shapes)
    check('figure 5: the product', product.reshape(20, 17, 17), F.convolution_2d(x, W, stride=2).array[0])


# ---- pooling


def pooling():
    x = array(1, 3, 32, 32)
    check('max pooling by 2', (1, 3, 16, 16), F.max_pooling_2d(x, 2).shape)
    check('exercise 2, third', (1, 3, 12, 12), F.max_pooling_2d(array(1, 3, 24, 24), 2, 2).shape)
    size = conv_size(32, 3, 2)
    check('overlapping pooling', (1, 3, size, size), F.max_pooling_2d(x, 3, 2, cover_all=False).shape)
    windows = x.reshape(1, 3, 16, 2, 16, 2)
    check('max pooling', windows.max((3, 5)), F.max_pooling_2d(x, 2).array)
    check('average pooling', windows.mean((3, 5)), F.average_pooling_2d(x, 2).array)
    l2 = F.sqrt(4 * F.average_pooling_2d(F.square(x), 2))
    check('L2-norm pooling', np.sqrt((windows**2).sum((3, 5))), l2.array)


# ---- transposed convolution


def matrix_of(w, n):
    """Equation 3: the matrix of a convolution of n x n pixels by the filter w, as a row for each window."""
    f = len(w)
    size = conv_size(n, f)
    W = np.zeros((size, size, n, n), np.float32)
    for i, j in np.ndindex(size, size):
        W[i, j, i : i + f, j : j + f] = w
    return W.reshape(size * size, n * n)


def stretch(y, s):
    """Pixels s apart, zeros between them."""
    m = len(y)
    stretched = np.zeros((m + (m - 1) * (s - 1),) * 2, np.float32)
    stretched[::s, ::s] = y
    return stretched


def transposed():
    w, x, y = array(3, 3), array(4, 4), array(2, 2)
    W = matrix_of(w, 4)
    check('equation 3', (4, 16), W.shape)
    conv = F.convolution_2d(x[None, None], w[None, None]).array[0, 0]
    check('equation 4: Y = W X', (W @ x.ravel()).reshape(2, 2), conv)
    deconv = F.deconvolution_2d(y[None, None], w[None, None]).array[0, 0]
    check('equation 5: X = W^T Y', (W.T @ y.ravel()).reshape(4, 4), deconv)

    for f, s, p, m, expected in (
        (4, 1, 0, 5, 8),
        (4, 1, 1, 5, 6),
        (3, 1, 1, 5, 5),
        (3, 1, 2, 5, 3),
        (3, 2, 0, 2, 5),
        (3, 2, 1, 2, 3),
    ):
        what = f'transposed, {m} x {m}, f {f}, s {s}, p {p}'
        check(f'{what}: equation 11', expected, m + (m - 1) * (s - 1) + f - 1 - 2 * p)
        y, w = array(m, m), array(f, f)
        deconv = F.deconvolution_2d(y[None, None], w[None, None], stride=s, pad=p).array
        check(what, (1, 1, expected, expected), deconv.shape)
        # Equation 6: a convolution of the stretched input with padding f - p - 1, by the filter turned around.
        turned = np.ascontiguousarray(w[::-1, ::-1])
        conv = F.convolution_2d(stretch(y, s)[None, None], turned[None, None], pad=f - p - 1).array
        check(f'{what}: as a convolution', conv, deconv)


# ---- the rest


class LeNet5(chainer.Chain):
    """LeNet-5 for 32 x 32 pixels: the original with tanh and average pooling, or with relu and max pooling."""

    def __init__(self, original):
        super().__init__()
        self.activation = F.tanh if original else F.relu
        self.pooling = F.average_pooling_2d if original else F.max_pooling_2d
        with self.init_scope():
            self.conv1, self.conv2 = L.Convolution2D(1, 6, 5), L.Convolution2D(6, 16, 5)
            self.fc3, self.fc4, self.fc5 = L.Linear(400, 120), L.Linear(120, 84), L.Linear(84, 10)

    def forward(self, x):
        h = self.pooling(self.activation(self.conv1(x)), 2)
        h = self.pooling(self.activation(self.conv2(h)), 2)
        h = self.activation(self.fc4(self.activation(self.fc3(h))))
        return self.fc5(h)


def lenet5():
    x, t = array(32, 1, 32, 32), random.randint(0, 10, 32).astype(np.int32)
    for original in True, False:
        np.random.seed(0)
        model = LeNet5(original)
        optimizer = chainer.optimizers.Adam(0.003).setup(model)
        losses = []
        for _ in range(30):
            loss = F.softmax_cross_entropy(model(x), t)
            model.cleargrads()
            loss.backward()
            optimizer.update()
            losses.append(float(loss.array))
        name = 'LeNet-5, original' if original else 'LeNet-5, relu and max pooling'
        check(f'{name}: parameters', 61706, model.count_params())
        assert losses[-1] < losses[0] / 2
        print(f'{name}: loss {losses[0]:.2f} -> {losses[-1]:.2f} in {len(losses)} steps')


def normalization_and_dropout():
    x = array(8, 3, 32, 32)
    check('batch normalization keeps the shape', x.shape, L.BatchNormalization(3)(x).shape)
    mask = np.broadcast_to(random.randint(0, 2, (8, 3, 1, 1)) * np.float32(2), x.shape)
    y = F.dropout(x, 0.5, mask=mask).array
    check('dropout of channels, by a mask', np.where(mask, 2 * x, 0), y)


def exercise_1():
    """Three filters over a cross."""
    x = np.zeros((5, 5), np.float32)
    x[2] = x[:, 1] = 1
    W = np.zeros((3, 3, 3), np.float32)
    W[0, 1] = W[1, :, 1] = 1
    W[2] = np.eye(3)
    y = F.convolution_2d(x[None, None], W[:, None]).array[0]
    check('exercise 1: row', np.array([[1, 1, 0], [3, 3, 3], [1, 1, 0]], np.float32), y[0])
    check('exercise 1: column', np.array([[3, 1, 1], [3, 1, 1], [3, 1, 1]], np.float32), y[1])
    check('exercise 1: diagonal', np.array([[2, 2, 1], [1, 2, 1], [2, 1, 1]], np.float32), y[2])


def main():
    for part in sizes, as_one_product, pooling, transposed, lenet5, normalization_and_dropout, exercise_1:
        part()
    print('exercise 4, LeNet-5 on digits of 28 x 28 pixels: examples/mnist/train_lenet.py')


if __name__ == '__main__':
    main()
