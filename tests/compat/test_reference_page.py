"""Chainer's reference page of ResNet50Layers, from the folder that CHAINLITE_TEST_DOCUMENTS names: its signatures."""

import inspect
import os
import re
from pathlib import Path

import numpy as np
import pytest

import chainlite.links as L

DOCUMENTS = os.environ.get('CHAINLITE_TEST_DOCUMENTS')
pytestmark = [
    pytest.mark.skipif(not DOCUMENTS, reason='no folder with the page is named by CHAINLITE_TEST_DOCUMENTS'),
    pytest.mark.host('names and defaults of arguments'),
]


def page():
    (path,) = Path(DOCUMENTS).glob('002_*.txt')
    return path.read_text(encoding='utf-8')


def methods():
    """{name: text between the parentheses}."""
    found = re.findall(r'^(?:classmethod )?(\w+)\n\(([^\n]*)\)\[source\]', page(), re.M)
    return {name: text.removeprefix('self, ').removeprefix('self') for name, text in found}


def parameters(text):
    """Names and defaults of 'a, b=1, c=(2, 3)', where the page writes classes as <class 'numpy.float32'>."""
    text = re.sub(r"<class 'numpy\.(\w+)'>", r'np.\1', text)
    function = eval(f'lambda {text}: None', {'np': np})
    return [(p.name, p.default) for p in inspect.signature(function).parameters.values()]


def test_every_method_is_there_with_its_arguments():
    documented = methods()
    assert len(documented) == 30 and 'ResNet50Layers' in documented
    for name, text in documented.items():
        method = getattr(L.ResNet50Layers, name, L.ResNet50Layers)  # the first one is the class itself
        found = inspect.signature(method).parameters.values()
        found = [(p.name, p.default) for p in found if p.name != 'self' and p.kind is not p.VAR_KEYWORD]
        # Lists as defaults ([...]) are None here, and filled in.
        expected = [(n, None if isinstance(default, list) else default) for n, default in parameters(text)]
        assert found == expected, name


def test_every_attribute_is_there():
    attributes = page().split('Attributes\n')[-1]
    names = re.findall(r'^(\w+)\n?¶', attributes, re.M)
    assert {'available_layers', 'functions', 'device', 'local_link_hooks', 'within_init_scope'} <= set(names)
    for name in names:
        assert any(name in vars(cls) for cls in L.ResNet50Layers.__mro__), name


def test_the_number_of_parameters():
    number = int(re.search(r'has ([\d,]+) trainable parameters', page())[1].replace(',', ''))
    assert L.ResNet50Layers(pretrained_model=None).count_params() == number == 25557096
