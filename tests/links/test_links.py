"""Links: late shapes, bad arguments, states, and what their constructors promise."""

import copy
import itertools
import pickle

import numpy as np
import pytest

import chainlite
import chainlite.functions as F
import chainlite.links as L
from chainlite import Chain, Parameter, Reporter, serializers
from chainlite.backends.cuda import to_cpu
from chainlite.utils import type_check


def ones(*shape):
    return np.ones(shape, np.float32)


# -- shapes that come with the first input --

LAZY = {
    'Linear': (lambda: L.Linear(None, 2), ones(3, 4), {'/W': (2, 4), '/b': (2,)}),
    'Linear, one number': (lambda: L.Linear(2), ones(3, 2, 2), {'/W': (2, 4), '/b': (2,)}),
    'Convolution2D': (
        lambda: L.Convolution2D(None, 4, 2, groups=2),
        ones(1, 6, 3, 3),
        {'/W': (4, 3, 2, 2), '/b': (4,)},
    ),
    'Convolution2D, two numbers': (lambda: L.Convolution2D(4, 2), ones(1, 3, 3, 3), {'/W': (4, 3, 2, 2), '/b': (4,)}),
    'Convolution1D': (lambda: L.Convolution1D(None, 4, 2), ones(1, 3, 3), {'/W': (4, 3, 2), '/b': (4,)}),
    'Convolution3D': (lambda: L.Convolution3D(None, 4, 2), ones(1, 3, 3, 3, 3), {'/W': (4, 3, 2, 2, 2), '/b': (4,)}),
    'Deconvolution2D': (
        lambda: L.Deconvolution2D(None, 4, 2, groups=2),
        ones(1, 6, 3, 3),
        {'/W': (6, 2, 2, 2), '/b': (4,)},
    ),
    'DeconvolutionND': (lambda: L.DeconvolutionND(1, 4, 2), ones(1, 3, 3), {'/W': (3, 4, 2), '/b': (4,)}),
    'BatchNormalization': (
        lambda: L.BatchNormalization(axis=(0, 2)),
        ones(4, 3, 2),
        {'/gamma': (3,), '/beta': (3,)},
    ),
}


@pytest.mark.parametrize('name', LAZY)
def test_parameters_take_their_shape_from_the_first_input(device, name):
    make, x, shapes = LAZY[name]
    link = make().to_device(device)
    assert any(not p.is_initialized for p in link.params())
    link(device.send(x))
    assert all(p.device == device for p in link.params())
    assert {path: p.shape for path, p in link.namedparams()} == shapes


@pytest.mark.parametrize('name', LAZY)
def test_parameters_take_their_shape_from_a_file(device, name, tmp_path):
    make, x, shapes = LAZY[name]
    saved, loaded, x = make().to_device(device), make().to_device(device), device.send(x)
    with chainlite.using_config('train', False):
        y = saved(x)
        serializers.save_npz(tmp_path / 'link.npz', saved)
        serializers.load_npz(tmp_path / 'link.npz', loaded)
        assert {path: p.shape for path, p in loaded.namedparams()} == shapes
        np.testing.assert_array_equal(to_cpu(loaded(x).array), to_cpu(y.array))


@pytest.mark.parametrize('name', LAZY)
def test_a_second_input_must_fit_the_first(device, name):
    make, x, _ = LAZY[name]
    link = make().to_device(device)
    link(device.send(x))
    with pytest.raises(type_check.InvalidType):
        link(device.send(np.concatenate([x, x], axis=1)))


@pytest.mark.parametrize('name', LAZY)
def test_links_are_copied_and_pickled_before_and_after(device, name):
    make, x, _ = LAZY[name]
    link, x = make().to_device(device), device.send(x)
    pickle.loads(pickle.dumps(copy.deepcopy(link)))(x)
    link(x)
    with chainlite.using_config('train', False):
        copied = pickle.loads(pickle.dumps(link))
        assert copied.device == device
        np.testing.assert_array_equal(to_cpu(copied(x).array), to_cpu(link(x).array))


# -- Linear, convolutions, EmbedID --


def test_linear_keeps_batch_axes(device):
    link = L.Linear(None, 2).to_device(device)
    assert link(device.send(ones(2, 3, 4, 5)), n_batch_axes=2).shape == (2, 3, 2)


def test_linear_of_given_parameters(device):
    W, b = device.send((np.arange(6, dtype=np.float32).reshape(2, 3), ones(2)))
    for link in (L.Linear.from_params(W, b), L.Linear.from_params(Parameter(W), Parameter(b))):
        np.testing.assert_array_equal(to_cpu(link.W.array), to_cpu(W))
        np.testing.assert_array_equal(to_cpu(link.b.array), to_cpu(b))
        assert str(link) == 'Linear(in_size=3, out_size=2, nobias=False)'
    assert L.Linear.from_params(W, nobias=True).b is None


@pytest.mark.parametrize(
    'ndim, cls', [(1, 'Convolution1D'), (2, 'Convolution2D'), (2, 'ConvolutionND'), (3, 'Convolution3D')]
)
@pytest.mark.parametrize('groups', [1, 2])
def test_convolutions_of_given_parameters(device, ndim, cls, groups):
    W = np.random.RandomState(0).rand(4, 3, *[2] * ndim).astype(np.float32)
    x = np.random.RandomState(1).rand(2, 3 * groups, *[4] * ndim).astype(np.float32)
    link = getattr(L, cls).from_params(*device.send((W, ones(4))), stride=2, pad=1, groups=groups).to_device(device)
    expected = F.convolution_nd(x, W, ones(4), 2, 1, groups=groups).array
    np.testing.assert_allclose(to_cpu(link(device.send(x)).array), expected, rtol=1e-5)


@pytest.mark.parametrize('cls', [L.Convolution2D, L.Deconvolution2D])
def test_groups_divide_the_channels(device, cls):
    with pytest.raises(ValueError, match='the number of input channels must be divisible by the number of groups'):
        cls(3, 4, 2, groups=2)
    with pytest.raises(ValueError, match='the number of output channels must be divisible by the number of groups'):
        cls(4, 3, 2, groups=2)
    with pytest.raises(ValueError, match='input channels'):
        cls(None, 4, 2, groups=2).to_device(device)(device.send(ones(1, 3, 4, 4)))


@pytest.mark.host('texts of errors')
@pytest.mark.parametrize('cls', [L.Convolution2D, L.Deconvolution2D])
def test_removed_and_unknown_arguments_are_refused(cls):
    with pytest.raises(ValueError, match='deterministic argument is not supported anymore'):
        cls(3, 4, 2, deterministic=True)
    with pytest.raises(TypeError, match="unexpected keyword argument.*'foo'"):
        cls(3, 4, 2, foo=1)


@pytest.mark.parametrize('stride, pad, dilate, groups', [(1, 0, 1, 1), (2, 1, 1, 2), ((1, 2), (0, 1), (2, 1), 1)])
def test_two_dimensional_deconvolution_is_that_of_any_number_of_dimensions(device, stride, pad, dilate, groups):
    x = device.send(np.random.RandomState(0).rand(2, 4, 5, 4).astype(np.float32))
    results = []
    for make in (L.Deconvolution2D, lambda *args, **kwargs: L.DeconvolutionND(2, *args, **kwargs)):
        np.random.seed(0)
        link = make(4, 6, 3, stride, pad, dilate=dilate, groups=groups, initial_bias=chainlite.initializers.Normal())
        link.to_device(device).cleargrads()
        y = link(x)
        F.sum(y * y).backward()
        results.append(to_cpu([y.array, link.W.grad, link.b.grad]))
    for a, b in zip(*results):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


@pytest.mark.host('shows numbers of the constructor')
def test_convolution_text():
    assert str(L.Convolution2D(3, 8, 3, pad=1)) == (
        'Convolution2D(in_channels=3, out_channels=8, ksize=3, stride=(1, 1), pad=(1, 1), nobias=False, '
        'dilate=(1, 1), groups=1)'
    )


def test_embed_id_of_a_given_table(device):
    link = L.EmbedID.from_params(device.xp.eye(3, dtype=np.float32), ignore_label=2).to_device(device)
    assert link(device.xp.array([1, 2], np.int32)).array.tolist() == [[0, 1, 0], [0, 0, 0]]


def test_initial_values_follow_the_configured_dtype(device):
    with chainlite.using_config('dtype', np.float16):
        link = L.Linear(3, 2, initial_bias=device.send(np.ones(2))).to_device(device)
    assert link.W.dtype == link.b.dtype == np.float16


# -- Bias, Scale --


@pytest.mark.parametrize(
    'cls, shape, xs', [(L.Bias, (3,), 2), (L.Bias, None, 1), (L.Scale, (3,), 2), (L.Scale, None, 1)]
)
def test_number_of_inputs_is_checked(device, cls, shape, xs):
    with pytest.raises(ValueError, match='inputs'):
        cls(1, shape).to_device(device)(*[device.send(ones(2, 3))] * xs)


def test_scale_with_both_inputs_given_and_a_learned_bias(device):
    link = L.Scale(bias_term=True, bias_shape=(3,)).to_device(device)
    link.bias.b.array[...] = 1
    assert (link(*device.send((ones(2, 3), 2 * ones(3)))).array == 3).all()
    with pytest.raises(ValueError, match='bias_shape should be given if W is not learnt parameter'):
        L.Scale(bias_term=True)


# -- batch normalization --

X = (np.random.RandomState(0).randn(40, 3, 5) * [[[1], [2], [3]]] + 7).astype(np.float32)


def test_batch_normalization_normalizes_and_averages(device):
    link = L.BatchNormalization(3, decay=0.5).to_device(device)
    y = to_cpu(link(device.send(X)).array)
    np.testing.assert_allclose(y.mean((0, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(y.var((0, 2)), 1, rtol=1e-3)
    np.testing.assert_allclose(to_cpu(link.avg_mean), 0.5 * X.mean((0, 2)), rtol=1e-5)
    np.testing.assert_allclose(to_cpu(link.avg_var), 0.5 + 0.5 * X.var((0, 2), ddof=1), rtol=1e-4)


def test_batch_normalization_uses_the_averages_in_test_mode(device):
    link = L.BatchNormalization(3).to_device(device)
    link.avg_mean[...], link.avg_var[...] = 7, 4
    with chainlite.using_config('train', False):
        y = link(device.send(X)).array
    np.testing.assert_allclose(to_cpu(y), (X - 7) / 2, rtol=1e-3, atol=1e-4)
    assert link.avg_mean.tolist() == [7, 7, 7]


def test_fine_tuning_accumulates_plain_averages(device):
    link = L.BatchNormalization(3).to_device(device)
    link.start_finetuning()
    for batch in np.split(X, 4):
        link(device.send(batch), finetune=True)
    assert link.N == 4
    np.testing.assert_allclose(to_cpu(link.avg_mean), X.mean((0, 2)), rtol=1e-5)
    link.start_finetuning()
    assert link.N == 0


def test_recomputing_leaves_the_averages(device):
    link = L.BatchNormalization(3).to_device(device)
    with chainlite.using_config('in_recomputing', True):
        link(device.send(X), finetune=True)
    assert link.N == 0 and not link.avg_mean.any()


def test_batch_normalization_in_mixed_precision_has_float32_parameters(device):
    link = L.BatchNormalization(3, dtype=chainlite.mixed16).to_device(device)
    assert link.gamma.dtype == link.avg_mean.dtype == np.float32
    assert link(device.send(X.astype(np.float16))).dtype == np.float16


@pytest.mark.host('looks at an initializer')
def test_batch_normalization_leaves_initializers_alone():
    initializer = chainlite.initializers.Constant(2)
    L.BatchNormalization(3, initial_gamma=initializer, dtype=np.float64)
    assert initializer.dtype is None


@pytest.mark.host('texts of errors')
def test_batch_normalization_needs_to_know_what_to_average():
    with pytest.raises(RuntimeError, match='size or axis is required'):
        L.BatchNormalization()
    with pytest.raises(ValueError, match='test argument is not supported anymore'):
        L.BatchNormalization(3)(ones(2, 3), test=True)


# -- Classifier --


class Predictor(Chain):
    def __init__(self):
        super().__init__(l=L.Linear(3, 2))
        self.l.W.array[...] = 1

    def forward(self, x):
        return self.l(x)


def test_classifier_computes_and_reports_loss_and_accuracy(device):
    model = L.Classifier(Predictor()).to_device(device)
    x, t = device.send((ones(4, 3), np.array([0, 1, 0, 0], np.int32)))
    reporter = Reporter()
    reporter.add_observer('main', model)
    with reporter:
        loss = model(x, t)
    assert loss is model.loss and model.y.shape == (4, 2)
    assert float(loss.array) == pytest.approx(np.log(2))
    assert float(reporter.observation['main/loss'].array) == pytest.approx(np.log(2))
    assert float(reporter.observation['main/accuracy'].array) == 0.75
    assert reporter.observation['main/loss'].creator is None


def test_classifier_can_leave_the_accuracy_and_take_other_functions(device):
    model = L.Classifier(Predictor(), lossfun=F.mean_squared_error, accfun=None).to_device(device)
    model.compute_accuracy = False
    assert model(*device.send((ones(4, 3), 3 * ones(4, 2)))).array == 0
    assert model.accuracy is None


@pytest.mark.host('passes on what it is given, here no arrays')
@pytest.mark.parametrize(
    'label_key, args, kwargs',
    [(0, ('t', 'x'), {}), (-1, ('x', 't'), {}), (1, ('x', 't', 'y'), {}), ('label', ('x',), {'label': 't'})],
)
def test_classifier_takes_labels_from_where_it_is_told(label_key, args, kwargs):
    seen = []

    class Spy(Chain):
        def forward(self, *args):
            seen.extend(args)
            return 'scores'

    model = L.Classifier(Spy(), lambda y, t: (y, t), lambda y, t: 1, label_key)
    assert model(*args, **kwargs) == ('scores', 't')
    assert seen == [arg for arg in args if arg != 't']


@pytest.mark.host('texts of errors')
@pytest.mark.parametrize(
    'label_key, text',
    [(2, 'Label key 2 is out of bounds'), (-3, 'Label key -3 is out of bounds'), ('t', 'Label key "t" is not found')],
)
def test_classifier_needs_its_labels(label_key, text):
    with pytest.raises(ValueError, match=text):
        L.Classifier(Predictor(), label_key=label_key)(1, 2)
    with pytest.raises(TypeError, match='label_key must be int or str, but is'):
        L.Classifier(Predictor(), label_key=1.5)


# -- the rest --


def test_parameter_link_passes_gradients_on(device):
    link = L.Parameter(device.send(ones(3))).to_device(device)
    link.cleargrads()
    F.sum(link() * 2).backward()
    assert link.W.device == device and link.W.grad.tolist() == [2, 2, 2]


def test_highway_starts_out_passing_its_input(device):
    link = L.Highway(3, init_bt=-50).to_device(device)
    x = np.random.RandomState(0).rand(4, 3).astype(np.float32)
    np.testing.assert_allclose(to_cpu(link(device.send(x)).array), x, rtol=1e-6)


@pytest.mark.host('texts of errors')
def test_mlp_convolution_arguments():
    with pytest.raises(TypeError, match='wscale is not supported anymore'):
        L.MLPConvolution2D(3, (4, 5), 2, 1, 0, F.relu, 1)
    with pytest.raises(ValueError, match='wscale is not supported anymore'):
        L.MLPConvolution2D(3, (4, 5), 2, wscale=1)


@pytest.mark.host('texts of errors')
def test_bilinear_checks_the_shapes_of_given_arrays():
    with pytest.raises(AssertionError, match=r'the initial W must have shape \(2, 3, 4\), not \(2, 3, 5\)'):
        L.Bilinear(2, 3, 4, initialW=ones(2, 3, 5))
    with pytest.raises(ValueError, match='initial_bias must be tuple or None'):
        L.Bilinear(2, 3, 4, initial_bias=1)


@pytest.mark.host('texts of errors')
def test_inception_bn_refuses_impossible_architectures():
    with pytest.raises(NotImplementedError, match="pooltype must be 'max' or 'avg'"):
        L.InceptionBN(3, 0, 2, 3, 4, 5, 'sum')
    with pytest.raises(AssertionError, match='needs stride=1 and a number for proj_pool'):
        L.InceptionBN(3, 1, 2, 3, 4, 5, 'max', stride=2)


@pytest.mark.host('builds a tree of tuples')
def test_huffman_trees_have_the_shortest_ways_to_what_occurs_most():
    assert L.BinaryHierarchicalSoftmax.create_huffman_tree({'x': 8, 'y': 6, 'z': 5, 'w': 4, 'v': 3}) == (
        ('z', 'y'),
        (('v', 'w'), 'x'),
    )
    with pytest.raises(ValueError, match='Empty vocabulary'):
        L.BinaryHierarchicalSoftmax.create_huffman_tree({})


def test_probabilities_of_the_leaves_of_a_tree_add_up_to_one(device):
    link = L.BinaryHierarchicalSoftmax(3, ((0, 1), ((2, 3), 4))).to_device(device)
    x = device.send(np.random.RandomState(0).rand(1, 3).astype(np.float32))
    losses = [float(link(x, device.xp.array([t], np.int32)).array) for t in range(5)]
    assert np.exp(-np.array(losses)).sum() == pytest.approx(1, rel=1e-5)


def test_sampled_losses_have_half_precision_weights_in_mixed16(device):
    with chainlite.using_config('dtype', chainlite.mixed16):
        assert L.NegativeSampling(2, [1, 2, 3], 2).to_device(device).W.dtype == np.float16
        codes = L.BinaryHierarchicalSoftmax(2, ((0, 1), 2)).to_device(device)._func.codes
    assert isinstance(codes, device.xp.ndarray) and codes.dtype == np.float16


def test_functions_that_initialize_maxout_see_its_shape(device):
    shapes = []

    def fill(a):
        shapes.append(a.shape)
        a.fill(len(shapes))

    link = L.Maxout(5, 3, 2, initialW=fill, initial_bias=fill).to_device(device)
    assert shapes == [(3, 2, 5), (3, 2)]
    assert (link.linear.W.array == 1).all() and (link.linear.b.array == 2).all()


@pytest.mark.parametrize('shape', [(), (2,)])
def test_group_normalization_needs_channels(device, shape):
    with pytest.raises(ValueError, match='Input dimension must be at least 2'):
        L.GroupNormalization(3).to_device(device)(device.send(ones(*shape)))


def test_crf_takes_sequences_of_any_lengths_in_any_order(device):
    np.random.seed(0)
    link = L.CRF1d(3, chainlite.initializers.Normal(1.0)).to_device(device)
    xs = [np.random.randn(n, 3).astype('f') for n in (2, 4, 3)]
    ys = [np.random.randint(0, 3, n).astype('i') for n in (2, 4, 3)]
    loss = link(device.send(xs), device.send(ys), reduce='no', transpose=True).array
    score, path = link.argmax(device.send(xs), transpose=True)
    cost = to_cpu(link.cost.array)
    order = [1, 2, 0]  # the longest first, as Chainer has it
    for place, i in enumerate(order):
        scores = {  # of all ways through the sequence
            way: sum(x[k] for x, k in zip(xs[i], way)) + sum(cost[a, b] for a, b in zip(way, way[1:]))
            for way in itertools.product(range(3), repeat=len(xs[i]))
        }
        likelihood = scores[tuple(ys[i])] - np.log(np.exp(list(scores.values())).sum())
        np.testing.assert_allclose(to_cpu(loss)[place], -likelihood, rtol=1e-4)
        best = max(scores, key=scores.get)
        np.testing.assert_allclose(to_cpu(score.array)[i], scores[best], rtol=1e-5)
        assert tuple(to_cpu(path[i])) == best


def test_renormalization_fine_tunes_averages_and_uses_them_in_test_mode(device):
    x = np.random.RandomState(0).randn(6, 3).astype('f') * 2 + 1
    link = L.BatchRenormalization(3).to_device(device)
    for _ in range(2):  # the plain average of two batches
        link(device.send(x), finetune=True)
    np.testing.assert_allclose(to_cpu(link.avg_mean), x.mean(0), rtol=1e-5)
    np.testing.assert_allclose(to_cpu(link.avg_var), x.var(0, ddof=1), rtol=1e-4)
    with chainlite.using_config('train', False):
        y = link(device.send(x)).array
    expected = (x - x.mean(0)) / np.sqrt(x.var(0, ddof=1) + link.eps)
    np.testing.assert_allclose(to_cpu(y), expected, rtol=1e-4, atol=1e-5)


def test_decorrelation_loads_one_projection_for_all_groups_and_uses_it_in_test_mode(device):
    rng = np.random.RandomState(0)
    old = {'avg_mean': rng.randn(2).astype('f'), 'avg_projection': rng.randn(2, 2).astype('f'), 'N': np.array(5)}
    link = L.DecorrelatedBatchNormalization(4, 2).to_device(device)
    with pytest.warns(UserWarning, match='one avg_'):  # as Chainer wrote it up to version 6
        chainlite.serializers.NpzDeserializer(old).load(link)
    assert link.avg_projection.shape == (2, 2, 2) and isinstance(link.avg_mean, device.xp.ndarray) and link.N == 5
    x = rng.randn(3, 4).astype('f')
    with chainlite.using_config('train', False):
        y = to_cpu(link(device.send(x)).array)
    for group in (slice(0, 2), slice(2, 4)):
        np.testing.assert_allclose(y[:, group], (x[:, group] - old['avg_mean']) @ old['avg_projection'].T, rtol=1e-4)
    link.start_finetuning()
    link(device.send(x), finetune=True)
    assert link.N == 1
    np.testing.assert_allclose(to_cpu(link.avg_mean).ravel(), x.mean(0), rtol=1e-5)
