"""The names of the package itself."""

import importlib

import pytest

import chainlite

pytestmark = pytest.mark.host('names compute nothing')


def test_every_name_that_is_listed_is_there():
    for name in dir(chainlite):
        assert getattr(chainlite, name, chainlite) is not chainlite, name


def test_a_name_that_is_not_there_is_an_attribute_error():
    assert not hasattr(chainlite, 'nothing_of_the_kind')
    with pytest.raises(AttributeError, match='removed in Chainer v2.*chainlite.Chain'):
        chainlite.FunctionSet  # noqa: B018


def test_subpackages_come_when_they_are_asked_for():
    assert chainlite.training is importlib.import_module('chainlite.training')
