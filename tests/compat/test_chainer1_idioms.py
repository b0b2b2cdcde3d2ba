"""What Chainer 1 had and later versions removed: the error is Chainer 7.8.1's and names today's spelling."""

import numpy as np
import pytest
from comparing import assert_array_equal

import chainlite as chainer
import chainlite.functions as F
import chainlite.links as L

USING_CONFIG = '{} argument is not supported anymore. Use chainer.using_config'
DETERMINISTIC = (
    'deterministic argument is not supported anymore. '
    "Use chainer.using_config('cudnn_deterministic', value) context where value is either `True` or `False`."
)
CUDNN_IN_SAMPLERS = (
    'The argument "use_cudnn" is not supported anymore. '
    "Use chainer.using_config('use_cudnn', value) context where value can be `always`, `never`, or `auto`."
)

X = np.ones((1, 1), 'f')
X4 = np.ones((1, 1, 1, 1), 'f')
H = np.ones((1, 1, 1), 'f')
RNN = (1, 0, H, [], [], [X])
LSTM = (1, 0, H, H, [], [], [X])

# (what is called; positional arguments; removed keyword; what Chainer says)
REMOVED = [
    ('chainer.Variable', (X,), 'volatile', USING_CONFIG),
    ('F.dropout', (X,), 'train', USING_CONFIG),
    ('F.zoneout', (X, X), 'train', USING_CONFIG),
    ('F.rrelu', (X,), 'train', USING_CONFIG),
    ('F.batch_normalization', (X, X[0], X[0]), 'train', USING_CONFIG),
    ('F.convolution_2d', (X4, X4), 'deterministic', DETERMINISTIC),
    ('F.deconvolution_2d', (X4, X4), 'deterministic', DETERMINISTIC),
    ('F.spatial_transformer_grid', (X4, (1, 1)), 'use_cudnn', CUDNN_IN_SAMPLERS),
    ('F.spatial_transformer_sampler', (X4, X4), 'use_cudnn', CUDNN_IN_SAMPLERS),
    *(
        (f'F.n_step_{name}', LSTM if 'lstm' in name else RNN, keyword, USING_CONFIG)
        for name in ('gru', 'bigru', 'lstm', 'bilstm', 'rnn')
        for keyword in ('train', 'use_cudnn')
    ),
    *(
        (f'L.NStep{name}', (1, 1, 1, 0), 'use_cudnn', USING_CONFIG)
        for name in ('GRU', 'BiGRU', 'LSTM', 'BiLSTM', 'RNNTanh', 'BiRNNTanh', 'RNNReLU', 'BiRNNReLU')
    ),
    ('L.NStepGRU(1, 1, 1, 0)', (None, [X]), 'train', USING_CONFIG),
    ('L.NStepLSTM(1, 1, 1, 0)', (None, None, [X]), 'train', USING_CONFIG),
    ('L.NStepRNNTanh(1, 1, 1, 0)', (None, [X]), 'train', USING_CONFIG),
    ('L.StatefulZoneoutLSTM', (1, 1), 'train', USING_CONFIG),
    ('L.BatchNormalization(1)', (X,), 'test', USING_CONFIG),
    ('L.Convolution2D', (1, 1, 1), 'deterministic', DETERMINISTIC),
    ('L.Deconvolution2D', (1, 1, 1), 'deterministic', DETERMINISTIC),
    (
        'L.MLPConvolution2D',
        (1, (1,), 1),
        'wscale',
        '{} is not supported anymore. Use conv_init and bias_init argument to change the scale of initial parameters.',
    ),
    ('L.GoogLeNet(None)', (X4,), 'train', USING_CONFIG),
    ('L.GoogLeNet(None).extract', ([np.zeros((8, 8, 3), 'B')],), 'train', USING_CONFIG),
    ('L.GoogLeNet(None).extract', ([np.zeros((8, 8, 3), 'B')],), 'volatile', USING_CONFIG),
]


def call(text, *args, **kwargs):
    return eval(text, {'chainer': chainer, 'F': F, 'L': L})(*args, **kwargs)


@pytest.mark.host('texts of errors')
@pytest.mark.parametrize(('text', 'args', 'keyword', 'says'), REMOVED, ids=[f'{row[0]}-{row[2]}' for row in REMOVED])
def test_a_removed_argument_is_refused_with_todays_spelling(text, args, keyword, says):
    with pytest.raises(ValueError) as info:
        call(text, *args, **{keyword: True})
    assert str(info.value) == says.format(keyword)


@pytest.mark.host('texts of errors')
@pytest.mark.parametrize(
    ('text', 'args'), {row[0]: row[:2] for row in REMOVED}.values(), ids=lambda x: x if isinstance(x, str) else ''
)
def test_an_unknown_argument_is_refused_by_name(text, args):
    with pytest.raises(TypeError, match='no_such_argument'):
        call(text, *args, no_such_argument=True)


@pytest.mark.host('texts of errors')
def test_function_set_names_chain():
    with pytest.raises(AttributeError, match='FunctionSet.*chainlite.Chain'):
        chainer.FunctionSet  # noqa: B018


def test_old_function_names_make_reusable_callables(xp):
    x = chainer.Variable(xp.array([[[[1, -2], [3, -4]]]], 'f'))
    pool = F.MaxPooling2D(2, 2)
    y, z = pool(x), pool(x)
    assert y.creator is not z.creator and y.array == z.array == 3
    assert_array_equal(F.Sigmoid()(x).array, F.sigmoid(x).array)
    F.sum(F.Sigmoid()(pool(x)) + z).backward()
    assert float(x.grad[0, 0, 1, 0]) == pytest.approx(1 + 1 / (2 + 2 * np.cosh(3)), rel=1e-6)


def test_old_concat_takes_its_arrays_one_by_one(xp):
    x, y = xp.zeros((2, 3), 'f'), xp.ones((2, 1), 'f')
    assert_array_equal(F.Concat(1)(x, y).array, xp.hstack([x, y]))


def test_node_classes_are_not_called(xp):
    from chainlite.functions.activation.relu import ReLU

    with pytest.raises(RuntimeError, match=r'built-in function class object \(ReLU\).*\n.*such as F.convolution_nd'):
        ReLU()(xp.ones(2, 'f'))
