"""Extensions that move a hyperparameter: values by Chainer 7.8.1, and resuming."""

import types

import pytest

from chainlite.serializers import DictionarySerializer, NpzDeserializer
from chainlite.training import extensions as E

pytestmark = pytest.mark.host('hyperparameters are numbers of the host')

CASES = [
    (E.ExponentialShift, ('lr', 0.5), [0.5, 0.25, 0.125, 0.0625, 0.03125, 0.015625, 0.0078125, 0.00390625]),
    (E.ExponentialShift, ('lr', 0.5, 1.0, 0.3), [1.0, 0.5, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3]),
    (E.ExponentialShift, ('lr', 2.0, 1.0, 5.0), [1.0, 2.0, 4.0, 5.0, 5.0, 5.0, 5.0, 5.0]),
    (
        E.PolynomialShift,
        ('lr', 0.5, 5, 1.0),
        [1.0, 0.8944271909999159, 0.7745966692414834, 0.6324555320336759, 0.44721359549995787, 0.0, 0.0, 0.0],
    ),
    (
        E.InverseShift,
        ('lr', 0.1, 0.75, 1.0),
        [
            1.0,
            0.9310124446222228,
            0.8721959494934213,
            0.8213769018249545,
            0.7769695042409123,
            0.7377879464668811,
            0.7029266564879363,
            0.6716813796678979,
        ],
    ),
    (E.InverseShift, ('lr', 0.1, 0.75, 1.0, 0.9), [1.0, 0.9310124446222228, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9]),
    (
        E.StepShift,
        ('lr', 0.1, 2, 1.0),
        [1.0, 1.0, 0.1, 0.1, 0.010000000000000002, 0.010000000000000002, 0.0010000000000000002, 0.0010000000000000002],
    ),
    (E.StepShift, ('lr', 0.5, 2, -2.0, -1.2), [-2.0, -2.0, -1.2, -1.2, -1.2, -1.2, -1.2, -1.2]),
    (E.WarmupShift, ('lr', 0.1, 4, 1.0), [0.1, 0.325, 0.55, 0.775, 1.0, 1.0, 1.0, 1.0]),
    (E.LinearShift, ('lr', (1, 2), (1, 4)), [1, 1, 1.3333333333333333, 1.6666666666666665, 2, 2, 2, 2]),
    (
        E.MultistepShift,
        ('lr', 0.1, [1, 5], 0.3),
        [0.3, 0.03, 0.03, 0.03, 0.03, 0.0030000000000000005, 0.0030000000000000005, 0.0030000000000000005],
    ),
]


def make(cls, arguments, lr=0.5):
    optimizer = types.SimpleNamespace(lr=lr)
    return cls(*arguments, optimizer=optimizer), optimizer


@pytest.mark.parametrize('cls, arguments, expected', CASES)
def test_values(cls, arguments, expected):
    shift, optimizer = make(cls, arguments)
    shift.initialize(None)
    values = [optimizer.lr]
    for _ in range(7):
        shift(None)
        values.append(optimizer.lr)
    assert values == expected


@pytest.mark.parametrize('n', [0, 1, 3, 6])
@pytest.mark.parametrize('cls, arguments, expected', CASES)
def test_resuming_goes_on_with_the_same_values(cls, arguments, expected, n):
    shift, _ = make(cls, arguments)
    shift.initialize(None)
    for _ in range(n):
        shift(None)
    serializer = DictionarySerializer()
    shift.serialize(serializer)

    shift, optimizer = make(cls, arguments)
    shift.serialize(NpzDeserializer(serializer.target))
    shift.initialize(None)
    values = [optimizer.lr]
    for _ in range(n, 7):
        shift(None)
        values.append(optimizer.lr)
    assert values == expected[n:]
    assert all(isinstance(value, (int, float)) for value in values)


def test_negative_speeds_are_errors():
    with pytest.raises(ValueError, match='ExponentialShift does not support negative rate'):
        E.ExponentialShift('lr', -1)
    with pytest.raises(ValueError, match='InverseShift does not support negative gamma'):
        E.InverseShift('lr', -1, 1)


def test_a_target_of_a_polynomial_that_reaches_zero():
    shift, optimizer = make(E.PolynomialShift, ('lr', 0.5, 2, 1.0, 0.6))
    shift.initialize(None)
    values = []
    for _ in range(4):
        shift(None)
        values.append(optimizer.lr)
    assert values == [pytest.approx(0.5**0.5), 0.6, 0.6, 0.6]
