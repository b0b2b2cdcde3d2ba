"""From lists of examples to arrays."""

import pickle

import numpy
import pytest

from chainlite import dataset
from chainlite.dataset.convert import _call_converter
from chainlite.testing import assert_allclose

concat = dataset.concat_examples


def assert_equal(array, expected):
    assert_allclose(array, expected, rtol=0, atol=0)


def test_examples_are_stacked(xp):
    host = [numpy.full((2, 3), i, 'f') for i in range(4)]
    arrays = list(map(xp.asarray, host))
    result = concat(arrays)
    assert isinstance(result, xp.ndarray) and result.dtype == numpy.float32
    assert_equal(result, numpy.stack(host))
    x, t = concat([(a, numpy.int32(i)) for i, a in enumerate(arrays)])
    assert isinstance(x, xp.ndarray) and x.shape == (4, 2, 3)
    assert isinstance(t, numpy.ndarray) and t.dtype == numpy.int32
    assert_equal(t, [0, 1, 2, 3])
    assert set(concat([{'a': a, 'b': 1} for a in arrays])) == {'a', 'b'}
    assert concat([1, 2]).dtype == numpy.int64
    assert concat([[1, 2], [3, 4]]).tolist() == [[1, 2], [3, 4]]


def test_ragged_examples_are_padded(xp):
    a, b = xp.ones((2, 3), 'f'), xp.ones((1, 4), 'f')
    result = concat([a, b], padding=-1)
    assert isinstance(result, xp.ndarray) and result.dtype == numpy.float32
    assert result.tolist() == [[[1, 1, 1, -1], [1, 1, 1, -1]], [[1, 1, 1, 1], [-1, -1, -1, -1]]]
    x, y = concat([(a, a), (b, b)], padding=(0, 7))
    assert x[1, 1].tolist() == [0] * 4 and y[1, 1].tolist() == [7] * 4
    named = concat([{'x': a, 'n': 1}, {'x': b, 'n': 2}], padding={'x': 5, 'n': None})
    assert named['x'][0, 0].tolist() == [1, 1, 1, 5] and named['n'].tolist() == [1, 2]


def test_what_can_not_be_stacked_is_an_error(xp):
    with pytest.raises(ValueError, match='batch is empty'):
        concat([])
    with pytest.raises(ValueError, match='batch is empty'):
        dataset.ConcatWithAsyncTransfer()([])
    with pytest.raises(ValueError):
        concat([xp.zeros(2), xp.zeros(3)])


@pytest.mark.parametrize('name', [None, 'number', 'string', 'device'])
def test_arrays_are_sent(name, device):
    x = numpy.ones((1, 2))
    number = -1 if device.xp is numpy else 0
    to = {None: None, 'number': number, 'string': device.name, 'device': device}[name]
    for result in (
        concat([x[0]], to),
        dataset.to_device(to, x),
        dataset.ConcatWithAsyncTransfer()([x[0]], to),
    ):
        assert isinstance(result, numpy.ndarray if name is None else device.xp.ndarray)
        assert_equal(result, x)


def test_arrays_come_back_to_the_host(xp):
    x = xp.asarray([1.0, 2.0])
    for to in '@numpy', -1:
        assert isinstance(concat([x, x], to), numpy.ndarray)
        assert_equal(dataset.to_device(to, x), [1.0, 2.0])
    assert isinstance(dataset.to_device(None, x), xp.ndarray)  # stays where it is


@dataset.converter()
def pair(batch, device):
    return batch, device


def test_converters_are_given_a_device_and_plain_functions_a_number(device):
    number = -1 if device.xp is numpy else 0
    assert _call_converter(pair, [1], device) == ([1], device)
    assert _call_converter(lambda batch, device: device, [1], device) == number
    assert _call_converter(lambda batch, device: device, [1], number) == number
    assert _call_converter(lambda batch, device: device, [1], None) is None
    with pytest.raises(TypeError, match='non-callable'):
        dataset.converter()(3)
    with pytest.raises(NotImplementedError):
        dataset.Converter()([1], device)


@pytest.mark.host('nothing is computed')
def test_converters_can_be_pickled():
    for converter in (concat, pair):
        assert pickle.loads(pickle.dumps(converter)) is converter
