"""Extensions that move a hyperparameter: values by Chainer 7.8.1, and resuming."""
import types

import pytest

from chainlite.serializers import DictionarySerializer, NpzDeserializer
from chainlite.training import extensions as E

CASES = [
    (E.ExponentialShift, ('lr', .5), [.5, .25, .125, .0625, .03125, .015625, .0078125, .00390625]),
    (E.ExponentialShift, ('lr', .5, 1., .3), [1., .5, .3, .3, .3, .3, .3, .3]),
    (E.ExponentialShift, ('lr', 2., 1., 5.), [1., 2., 4., 5., 5., 5., 5., 5.]),
    (E.PolynomialShift, ('lr', .5, 5, 1.),
     [1., .8944271909999159, .7745966692414834, .6324555320336759, .44721359549995787, 0., 0., 0.]),
    (E.InverseShift, ('lr', .1, .75, 1.),
     [1., .9310124446222228, .8721959494934213, .8213769018249545, .7769695042409123, .7377879464668811,
      .7029266564879363, .6716813796678979]),
    (E.InverseShift, ('lr', .1, .75, 1., .9), [1., .9310124446222228, .9, .9, .9, .9, .9, .9]),
    (E.StepShift, ('lr', .1, 2, 1.),
     [1., 1., .1, .1, .010000000000000002, .010000000000000002, .0010000000000000002, .0010000000000000002]),
    (E.StepShift, ('lr', .5, 2, -2., -1.2), [-2., -2., -1.2, -1.2, -1.2, -1.2, -1.2, -1.2]),
    (E.WarmupShift, ('lr', .1, 4, 1.), [.1, .325, .55, .775, 1., 1., 1., 1.]),
    (E.LinearShift, ('lr', (1, 2), (1, 4)), [1, 1, 1.3333333333333333, 1.6666666666666665, 2, 2, 2, 2]),
    (E.MultistepShift, ('lr', .1, [1, 5], .3),
     [.3, .03, .03, .03, .03, .0030000000000000005, .0030000000000000005, .0030000000000000005]),
]


def make(cls, arguments, lr=.5):
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
    shift, optimizer = make(E.PolynomialShift, ('lr', .5, 2, 1., .6))
    shift.initialize(None)
    values = []
    for _ in range(4):
        shift(None)
        values.append(optimizer.lr)
    assert values == [pytest.approx(.5 ** .5), .6, .6, .6]
