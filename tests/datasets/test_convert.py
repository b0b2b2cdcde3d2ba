"""From lists of examples to arrays."""

import pickle

import numpy
import pytest

import chainlite
from chainlite import dataset
from chainlite.dataset.convert import _call_converter

concat = dataset.concat_examples


def test_examples_are_stacked():
    arrays = [numpy.full((2, 3), i, 'f') for i in range(4)]
    result = concat(arrays)
    assert result.dtype == numpy.float32
    numpy.testing.assert_array_equal(result, numpy.stack(arrays))
    x, t = concat([(a, numpy.int32(i)) for i, a in enumerate(arrays)])
    assert x.shape == (4, 2, 3) and t.dtype == numpy.int32
    numpy.testing.assert_array_equal(t, [0, 1, 2, 3])
    assert set(concat([{'a': a, 'b': 1} for a in arrays])) == {'a', 'b'}
    assert concat([1, 2]).dtype == numpy.int64
    assert concat([[1, 2], [3, 4]]).tolist() == [[1, 2], [3, 4]]


def test_ragged_examples_are_padded():
    a, b = numpy.ones((2, 3), 'f'), numpy.ones((1, 4), 'f')
    result = concat([a, b], padding=-1)
    assert result.dtype == numpy.float32
    assert result.tolist() == [[[1, 1, 1, -1], [1, 1, 1, -1]], [[1, 1, 1, 1], [-1, -1, -1, -1]]]
    x, y = concat([(a, a), (b, b)], padding=(0, 7))
    assert x[1, 1].tolist() == [0] * 4 and y[1, 1].tolist() == [7] * 4
    named = concat([{'x': a, 'n': 1}, {'x': b, 'n': 2}], padding={'x': 5, 'n': None})
    assert named['x'][0, 0].tolist() == [1, 1, 1, 5] and named['n'].tolist() == [1, 2]


def test_what_can_not_be_stacked_is_an_error():
    with pytest.raises(ValueError, match='batch is empty'):
        concat([])
    with pytest.raises(ValueError, match='batch is empty'):
        dataset.ConcatWithAsyncTransfer()([])
    with pytest.raises(ValueError):
        concat([numpy.zeros(2), numpy.zeros(3)])


@pytest.mark.parametrize('device', [None, -1, '@numpy', chainlite.backend.CpuDevice()])
def test_arrays_are_sent(device):
    for result in (
        concat([numpy.ones(2)], device),
        dataset.to_device(device, numpy.ones((1, 2))),
        dataset.ConcatWithAsyncTransfer()([numpy.ones(2)], device),
    ):
        assert isinstance(result, numpy.ndarray) and result.shape == (1, 2)


@dataset.converter()
def pair(batch, device):
    return batch, device


def test_converters_are_given_a_device_and_plain_functions_a_number():
    cpu = chainlite.backend.CpuDevice()
    assert _call_converter(pair, [1], cpu) == ([1], cpu)
    assert _call_converter(lambda batch, device: device, [1], cpu) == -1
    assert _call_converter(lambda batch, device: device, [1], -1) == -1
    assert _call_converter(lambda batch, device: device, [1], None) is None
    with pytest.raises(TypeError, match='non-callable'):
        dataset.converter()(3)
    with pytest.raises(NotImplementedError):
        dataset.Converter()([1], cpu)


def test_converters_can_be_pickled():
    for converter in (concat, pair):
        assert pickle.loads(pickle.dumps(converter)) is converter
