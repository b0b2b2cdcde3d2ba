"""Patches of images, arguments, caches, sparse matrices and the other small utilities."""

import contextlib
import itertools
import os

import numpy as np
import pytest
from comparing import assert_allclose, assert_array_equal, host

import chainlite
from chainlite import utils
from chainlite.configuration import using_config
from chainlite.utils import argument, array, conv, conv_nd, conv_nd_kernel, imgproc, precision
from chainlite.utils.cache import cached_property

# ---- im2col, col2im ------------------------------------------------------------------------------------------------


CONVOLUTIONS = [
    # dims, kernel, stride, pad, dilation, cover_all
    ((10, 8), (1, 1), (1, 1), (0, 0), (1, 1), False),
    ((10, 8), (3, 3), (1, 1), (1, 1), (1, 1), False),
    ((10, 8), (2, 2), (2, 2), (2, 2), (2, 2), False),
    ((9, 7), (2, 3), (4, 2), (1, 0), (2, 1), True),
    ((5, 5), (3, 2), (3, 3), (0, 0), (1, 1), True),
    ((10,), (3,), (2,), (1,), (2,), False),
    ((6, 5, 4), (1, 2, 3), (2, 1, 1), (1, 2, 1), (1, 2, 1), False),
    ((6, 5, 4), (2, 2, 3), (2, 3, 2), (0, 1, 0), (1, 1, 1), True),
]


def places(dims, ksize, stride, pad, dilate, cover_all):
    """Pairs of the place of an element in the patches and its place in the image, one by one."""
    outs = [conv.get_conv_outsize(*args, cover_all, d) for *args, d in zip(dims, ksize, stride, pad, dilate)]
    for offset in itertools.product(*map(range, ksize)):
        for out in itertools.product(*map(range, outs)):
            pixel = tuple(o * s - p + k * d for o, s, p, k, d in zip(out, stride, pad, offset, dilate))
            inside = all(0 <= x < size for x, size in zip(pixel, dims))
            yield (slice(None), slice(None), *offset, *out), (slice(None), slice(None), *pixel) if inside else None


@pytest.mark.parametrize('case', CONVOLUTIONS, ids=str)
def test_patches_hold_the_pixels_of_the_image(device, case):
    dims, ksize, stride, pad, dilate, cover_all = case
    img = np.random.RandomState(0).rand(2, 3, *dims)
    col = conv_nd.im2col_nd(device.send(img), ksize, stride, pad, cover_all, dilate)
    assert col.flags.c_contiguous and isinstance(col, device.xp.ndarray)
    if len(dims) == 2:
        two = conv.im2col(device.send(img), *ksize, *stride, *pad, cover_all, *dilate)
        assert_array_equal(two, host(col))
    col = host(col)
    assert col.flags.writeable
    for place, pixel in places(*case):
        assert_array_equal(col[place], 0 if pixel is None else img[pixel])


@pytest.mark.host('the functions for CuPy have no value of the padding')
@pytest.mark.parametrize('case', CONVOLUTIONS, ids=str)
def test_the_padding_may_have_a_value(case):
    dims, ksize, stride, pad, dilate, cover_all = case
    img = np.random.RandomState(0).rand(2, 3, *dims)
    col = conv_nd.im2col_nd_cpu(img, ksize, stride, pad, -7.5, cover_all, dilate)
    for place, pixel in places(*case):
        assert_array_equal(col[place], -7.5 if pixel is None else img[pixel])
    if len(dims) == 2:
        args = (*ksize, *stride, *pad)
        two = conv.im2col_cpu(img, *args, pval=-7.5, cover_all=cover_all, dy=dilate[0], dx=dilate[1])
        assert_array_equal(two, col)


@pytest.mark.parametrize('case', CONVOLUTIONS, ids=str)
def test_patches_add_up_where_they_came_from(device, case):
    dims, ksize, stride, pad, dilate, cover_all = case
    rng = np.random.RandomState(0)
    col = conv_nd.im2col_nd(rng.rand(2, 3, *dims), ksize, stride, pad, cover_all, dilate)
    col[...] = rng.rand(*col.shape)
    expected = np.zeros((2, 3, *dims))
    for place, pixel in places(*case):
        if pixel is not None:
            expected[pixel] += col[place]
    col = device.send(col)
    assert_allclose(conv_nd.col2im_nd(col, stride, pad, dims, dilate), expected, rtol=1e-14)
    if len(dims) == 2:
        two = conv.col2im(col, *stride, *pad, *dims, *dilate)
        assert_allclose(two, expected, rtol=1e-14)


@pytest.mark.parametrize('dtype', ['e', 'f', 'i', '?'])
def test_patches_keep_the_dtype(xp, dtype):
    img = xp.ones((1, 1, 4, 4), dtype)
    col = conv.im2col(img, 3, 3, 1, 1, 1, 1)
    assert col.dtype == dtype and conv.col2im(col, 1, 1, 1, 1, 4, 4).dtype == dtype


def test_images_without_padding_are_not_changed_through_their_patches(xp):
    img = xp.zeros((1, 1, 3, 3))
    conv.im2col(img, 1, 1, 1, 1, 0, 0)[...] = 1
    assert not img.any()


@pytest.mark.host('numbers')
@pytest.mark.parametrize('size, k, s, p, d', [*itertools.product([7, 10], [1, 3, 4], [1, 2, 3], [0, 2], [1, 2])])
def test_output_sizes_are_the_largest_that_fit_and_the_smallest_that_cover(size, k, s, p, d):
    width, reach = size + 2 * p, (k - 1) * d + 1
    out = conv.get_conv_outsize(size, k, s, p, d=d)
    assert (out - 1) * s + reach <= width < out * s + reach
    out = conv.get_conv_outsize(size, k, s, p, cover_all=True, d=d)
    assert (out - 2) * s + reach < width <= (out - 1) * s + reach
    back = conv.get_deconv_outsize(out, k, s, p, cover_all=True, d=d)
    assert conv.get_conv_outsize(back, k, s, p, cover_all=True, d=d) == out


def test_empty_outputs_and_wrong_numbers_of_sizes_are_refused(xp):
    img = xp.zeros((1, 1, 3, 3))
    with pytest.raises(AssertionError, match='Height in the output should be positive'):
        conv.im2col(img, 5, 3, 1, 1, 0, 0)
    with pytest.raises(AssertionError, match='Width in the output should be positive'):
        conv.im2col(img, 3, 5, 1, 1, 0, 0)
    with pytest.raises(AssertionError, match='Output sizes should be positive'):
        conv_nd.im2col_nd(img[0], (5,), (1,), (0,))
    for args in [((2,), (1, 1), (0, 0)), ((2, 2), (1,), (0, 0)), ((2, 2), (1, 1), (0,))]:
        with pytest.raises(AssertionError):
            conv_nd.im2col_nd(img, *args)
    for args in [((1,), (0, 0), (3, 3)), ((1, 1), (0,), (3, 3)), ((1, 1), (0, 0), (3,))]:
        with pytest.raises(AssertionError):
            conv_nd.col2im_nd(xp.zeros((1, 1, 2, 2, 2, 2)), *args)
    assert conv_nd.as_tuple([1, 2], 2) == (1, 2) and conv_nd.as_tuple(3, 2) == (3, 3)


def run_as_python(code, size, **names):
    """Runs the body of a generated kernel, once for each element, after the few changes that make it Python."""
    body = []
    for line in code.splitlines():
        line = line.replace('ptrdiff_t ', '').replace('const int ', '').replace('T sum', 'sum').replace('T(0)', '0')
        line = line.replace(' / ', ' // ').replace('c0 /= ', 'c0 //= ').replace(' && ', ' and ').replace(' || ', ' or ')
        if line.lstrip().startswith('for'):
            variable, limit = line.split('int ')[1].split(' ')[0], line.split('< ')[1].split(';')[0]
            line = line[: len(line) - len(line.lstrip())] + f'for {variable} in range({limit}):'
        elif line.lstrip().startswith('if'):
            line = line.replace('if (', 'if ').replace(') continue', ': continue')
        elif ' ? ' in line:
            target, condition, yes, no = (line.replace(' = ', ' ? ', 1).replace(' : ', ' ? ').rstrip(';')).split(' ? ')
            line = f'{target} = {yes} if {condition} else {no}'
        if line.strip() != '}':
            body.append(line.rstrip(';'))
    results = []
    for i in range(size):
        scope = {**names, 'i': i}
        exec('\n'.join(body), scope)
        results.append(scope['img' if 'img = ' in code else 'col'])
    return results


@pytest.mark.host('the text for the device is run on the host')
@pytest.mark.parametrize('case', [c for c in CONVOLUTIONS if not c[5]], ids=str)
def test_the_generated_kernels_compute_the_same(case):
    dims, ksize, stride, pad, dilate, _ = case
    n = len(dims)
    img = np.random.RandomState(0).rand(1, 2, *dims)
    col = conv_nd.im2col_nd(img, ksize, stride, pad, dilate=dilate)
    sizes = dict(d=dims, out=col.shape[2 + n :], k=ksize, s=stride, p=pad, di=dilate)
    names = {f'{prefix}_{i}': size for prefix, values in sizes.items() for i, size in enumerate(values)}
    code = conv_nd_kernel.Im2colNDKernel.generate(n)[2]
    assert_array_equal(run_as_python(code, col.size, img=img.ravel(), **names), col.ravel())
    code = conv_nd_kernel.Col2imNDKernel.generate(n)[2]
    expected = conv_nd.col2im_nd(col, stride, pad, dims, dilate).ravel()
    assert_allclose(run_as_python(code, img.size, col=col.ravel(), **names), expected)


@pytest.mark.host('the text for the device is run on the host')
def test_the_pieces_of_kernels():
    k = conv_nd_kernel
    assert k.vars('a', 2) == ['a_0', 'a_1']
    assert (k.mulexp(['a', 'b']), k.mulexp(['a'], 'c'), k.andexp(['a', 'b'])) == ('a * b', 'c * a', 'a && b')
    assert eval(k.muladdexp(['4', '5'], ['2', '3'], '1')) == (1 * 4 + 2) * 5 + 3
    assert k.succ_sublists([1, 2]) == [[1, 2], [2]] and k.map_(abs, [-1]) == [1]
    writer = k.Writer()
    for line in [('a {', 'inc'), ('b',), ('}', 'dec')]:
        writer.write(*line)
    assert writer.get() == 'a {\n  b\n}'


# ---- arrays --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    'shape, target',
    [
        ((2, 3), (2, 3)),
        ((2, 3), ()),
        ((2, 3), (3,)),
        ((2, 3), (2, 1)),
        ((2, 3, 4), (3, 1)),
        ((0, 3), (3,)),
        ((3,), (1,)),
    ],
)
@pytest.mark.parametrize('dtype', ['e', 'd'])
def test_sum_to_is_the_transpose_of_broadcasting(device, shape, target, dtype):
    rng = np.random.RandomState(0)
    x, y = rng.rand(*shape).astype(dtype), rng.rand(*target)
    summed = array.sum_to(device.send(x), target)
    assert isinstance(summed, device.xp.ndarray)
    summed = host(summed)
    assert summed.shape == target and summed.dtype == dtype
    assert_allclose((x * np.broadcast_to(y, shape)).sum(), (summed * y).sum(), rtol=1e-2 if dtype == 'e' else 1e-12)


def test_sum_to_adds_16_bit_floats_up_in_float32(xp):
    assert array.sum_to(xp.ones((4097, 2), 'e'), (2,))[0] == 4096  # in float16 it would stop at 2048
    ml_dtypes = pytest.importorskip('ml_dtypes')
    assert array.sum_to(xp.ones((600, 2), ml_dtypes.bfloat16), (2,))[0] == 600  # in bfloat16 it would stop at 256


def test_sum_to_refuses_shapes_that_do_not_broadcast(xp):
    with pytest.raises(ValueError, match='cannot sum'):
        array.sum_to(xp.ones((2, 3)), (2,))
    with pytest.raises(ValueError, match='cannot sum'):
        array.sum_to(xp.ones((2, 3)), (1, 2, 3))


def test_shapes(xp):
    x = xp.ones((2, 3, 4), 'e')
    assert (array.as_vec(x).shape, array.as_mat(x).shape, utils.size_of_shape(x.shape)) == ((24,), (2, 12), 24)
    assert array.empty_like(x).dtype == 'e'


def test_scalars_become_arrays(xp):
    assert utils.force_array(np.float32(1)).dtype == np.float32 and utils.force_array(2.0, 'e').dtype == np.float16
    x = xp.ones(2, 'f')
    assert utils.force_array(x) is x and utils.force_array(x, 'd').dtype == np.float64
    assert utils.force_type(np.dtype('f'), np.int32(1)).dtype == np.float32 and utils.force_type(np.dtype('f'), x) is x


def test_ten_crops(device):
    img = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    crops = imgproc.oversample(device.send(img), (2, 3))
    assert crops.shape == (20, 3, 2, 3)
    for i, (y, x) in enumerate([(0, 0), (0, 2), (2, 0), (2, 2), (1, 1)]):
        assert_array_equal(crops[i], img[0, :, y : y + 2, x : x + 3])
        assert_array_equal(crops[15 + i], img[1, :, y : y + 2, x : x + 3][..., ::-1])


def test_float16_functions_may_compute_in_float32(xp):
    class Node:
        @precision._fp16_mixed_precision_helper
        def forward(self, inputs):
            self.dtypes = [x.dtype.char for x in inputs]
            return (*inputs, None)

    node = Node()
    e, f, i = xp.ones(1, 'e'), xp.ones(1, 'f'), xp.ones(1, 'i')
    outputs = node.forward((e, i))
    assert node.dtypes == ['f', 'i'] and [y.dtype.char for y in outputs[:2]] == ['e', 'i']
    assert node.forward((f, i))[0] is f


# ---- arguments -----------------------------------------------------------------------------------------------------


@pytest.mark.host('nothing is computed')
def test_keyword_arguments_are_parsed_and_named():
    def f(**kwargs):
        return argument.parse_kwargs(kwargs, ('a', 1), ('b', 2), old='old is gone')

    assert f() == (1, 2) and f(b=3) == (1, 3)
    with pytest.raises(TypeError, match=r"^f\(\) got unexpected keyword argument\(s\) 'c', 'd'$"):
        f(d=1, c=2)
    with pytest.raises(ValueError, match='^old is gone$'):
        f(old=1)


@pytest.mark.host('nothing is computed')
def test_removed_arguments_name_the_new_spelling():
    @argument.removed_arguments('train', 'deterministic')
    def f(x, y=0):
        return x + y

    assert f(1, y=2) == 3 and f.__name__ == 'f'
    with pytest.raises(ValueError, match='^train argument is not supported anymore. Use chainer.using_config$'):
        f(1, train=True)
    with pytest.raises(ValueError, match="Use chainer.using_config\\('cudnn_deterministic', value\\)"):
        f(1, deterministic=True)
    with pytest.raises(TypeError, match="unexpected keyword argument 'use_cudnn'"):
        f(1, use_cudnn=True)


# ---- warnings, caches, final methods ---------------------------------------------------------------------------------


@pytest.mark.host('nothing is computed')
def test_experimental_features_warn_unless_told_not_to(monkeypatch):
    monkeypatch.setattr(chainlite, 'disable_experimental_feature_warning', False)
    with pytest.warns(FutureWarning, match='a.b is experimental'):
        utils.experimental('a.b')
    monkeypatch.setattr(chainlite, 'disable_experimental_feature_warning', True)
    utils.experimental('a.b')


@pytest.mark.host('nothing is computed')
def test_nondeterministic_functions_warn_if_asked_to():
    utils.nondeterministic('f')
    with using_config('warn_nondeterministic', True), pytest.warns(UserWarning, match='Source: f'):
        utils.nondeterministic('f')


@pytest.mark.host('nothing is computed')
def test_properties_are_cached_once_with_and_once_without_a_graph():
    class Thing:
        calls = 0

        @cached_property
        def value(self):
            """The value."""
            self.calls += 1
            return [self.calls]

    thing = Thing()
    first = thing.value
    with using_config('enable_backprop', False):
        second = thing.value
        assert second is not first and thing.value is second
    assert thing.value is first and thing.calls == 2
    assert (Thing.value.__name__, Thing.value.__doc__) == ('value', 'The value.')
    with pytest.raises(AttributeError, match='readonly'):
        thing.value = 3


@pytest.mark.host('nothing is computed')
def test_final_methods_cannot_be_overridden():
    class Base(utils.enable_final()):
        @utils.final
        def f(self):
            pass

        @utils.final(action=DeprecationWarning)
        def g(self):
            pass

    class Child(Base):
        def h(self):
            pass

    with pytest.raises(TypeError, match="method 'f' is final."):
        type('GrandChild', (Child,), {'f': None})
    with pytest.warns(DeprecationWarning, match="Overriding method 'g'."):
        type('GrandChild', (Child,), {'g': None})


@pytest.mark.host('nothing is computed')
def test_temporary_directories_go_away():
    with contextlib.suppress(KeyError), utils.tempdir(prefix='abc') as path:
        assert os.path.isdir(path) and 'abc' in path
        raise KeyError
    assert not os.path.exists(path)


# ---- sparse matrices, sampling ---------------------------------------------------------------------------------------


@pytest.mark.parametrize('shape', [(2, 3), (4, 2, 3), (1, 2, 3)])
@pytest.mark.parametrize('ldnz', [None, 6])
@pytest.mark.parametrize('dtype', ['e', 'd'])
def test_sparse_matrices_come_back_dense(device, shape, ldnz, dtype):
    x = np.random.RandomState(0).rand(*shape).astype(dtype)
    x[x < 0.5] = 0
    sparse = utils.to_coo(device.send(x), ldnz=ldnz)
    assert {type(a) for a in (sparse.data.array, sparse.row, sparse.col)} == {device.xp.ndarray}
    assert_array_equal(sparse.to_dense(), x)
    nnz = max(map(np.count_nonzero, x if x.ndim == 3 else [x]))
    assert sparse.data.shape[-1] == (nnz if ldnz is None else ldnz)
    assert sparse.order == utils.get_order(sparse.row, sparse.col) == 'C'
    assert sparse.row.dtype == np.int32 and not sparse.data.requires_grad


def test_values_at_one_place_add_up(xp):
    data, row, col = xp.array([3, 0, 4, -5.0]), xp.array([0, 0, 1, 0]), xp.array([0, 1, 2, 0])
    assert utils.CooMatrix(data, row, col, (2, 3)).to_dense().tolist() == [[-2, 0, 0], [0, 0, 4]]


@pytest.mark.parametrize(
    'row, col, order',
    [
        *(([0, 0, 1], [0, 1, 0], 'C'), ([0, 1, 0], [0, 0, 1], 'F'), ([0, 1, 0], [1, 0, 0], 'other'), ([], [], 'C')),
        *(([0, 0, 1, -1], [0, 1, 0, -1], 'C'), ([[0, 1], [0, 1]], [[0, 1], [1, 0]], 'C')),
    ],
)
def test_orders_of_places(xp, row, col, order):
    assert utils.get_order(xp.array(row, 'i'), xp.array(col, 'i')) == order


def test_bad_sparse_matrices_are_refused(xp):
    i, d = xp.array([0, 1]), xp.ones(2)
    for args, message in [
        ((d, i, i[:1], (2, 2)), 'shape of data, row and col'),
        ((d, i, i, (2, 2, 2)), 'length of shape'),
        ((d, i, i, (2, 0)), 'greater than 0'),
        ((d, i, i, (2, 2), 'X'), 'order must be'),
        ((d, i, xp.array([0, -1]), (2, 2)), 'must be -1 at the same places'),
        ((xp.ones((1, 1, 1)),) * 3 + ((1, 1),), 'ndim of data'),
    ]:
        with pytest.raises(ValueError, match=message):
            utils.CooMatrix(*args)
    with pytest.raises(ValueError, match='ndim of x must be 2 or 3'):
        utils.to_coo(d)


@pytest.mark.parametrize('probs', [[5, 3, 4, 1, 2], [1], [1, 1, 1], [0, 1, 0, 3], [0.7, 0.1, 0.05, 0.15, 3]])
def test_an_alias_table_holds_the_probabilities(device, probs):
    sampler = utils.WalkerAlias(probs)
    sampler.to_device(device)
    n = len(probs)
    held = np.zeros(n)
    for threshold, (first, second) in zip(host(sampler.threshold), host(sampler.values).reshape(n, 2)):
        threshold = min(threshold, 1)
        held[first] += threshold / n
        held[second] += (1 - threshold) / n
    assert_allclose(held, np.array(probs) / sum(probs), atol=1e-6)


def test_samples_have_their_shape_and_frequency(device):
    sampler = utils.WalkerAlias([1, 2, 0, 5])
    sampler.to_device(device)
    device.xp.random.seed(0)
    samples = sampler.sample((100, 200))
    assert isinstance(samples, device.xp.ndarray) and sampler.use_gpu == (device.xp is not np)
    samples = host(samples)
    assert samples.shape == (100, 200) and samples.dtype == np.int32
    assert_allclose(np.bincount(samples.ravel(), minlength=4) / 20000, [0.125, 0.25, 0, 0.625], atol=0.01)
    assert sampler.sample(()).shape == ()


def test_arrays_of_different_libraries_do_not_mix(xp):
    x = xp.ones(1)
    utils._check_arrays_forward_compatible((x, None, x))
    with pytest.raises(TypeError, match=r'incompatible array types are mixed in the forward input \(F\)'):
        utils._check_arrays_forward_compatible((x, [1] if xp is np else np.ones(1)), 'F')


@pytest.mark.host('nothing is computed')
def test_names_that_are_not_there_are_refused():
    with pytest.raises(AttributeError, match='no_such_name'):
        utils.no_such_name  # noqa: B018
