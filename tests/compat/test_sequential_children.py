"""Where Sequential puts its links among its children: files of real Chainer name them by it (values from 7.8.1)."""

import copy

import pytest

from chainlite.link import Link, Sequential

pytestmark = pytest.mark.host('names and places of links, no arrays')


class Numbered(Link):
    def __init__(self, number):
        super().__init__()
        self.number = number


def links(n):
    return [Numbered(i) for i in range(n)]


def children(sequential):
    assert [child.name for child in sequential.children()] == [str(i) for i in range(len(list(sequential.children())))]
    return [child.number for child in sequential.children()]


@pytest.mark.parametrize(
    'places, expected',
    [
        ('1111', [0, 3, 2, 1]),
        ('1010101', [0, 3, 2, 1]),
        ('01010101', [0, 1, 3, 2]),
        ('000101', [0, 1]),
        ('11', [0, 1]),
    ],
)
def test_appended_links_become_children_in_chainers_order(places, expected):
    numbers = iter(links(len(places)))
    layers = [next(numbers) if place == '1' else abs for place in places]
    sequential = Sequential(*layers)
    assert list(sequential) == layers
    assert children(sequential) == expected
    for again in (sequential.copy('copy'), sequential.copy('share'), copy.deepcopy(sequential)):
        assert [getattr(layer, 'number', None) for layer in again] == [getattr(x, 'number', None) for x in layers]
        assert children(again) == expected


def test_inserted_and_replaced_links():
    sequential = Sequential(*links(3))
    sequential.insert(0, Numbered(9))
    sequential.insert(2, Numbered(8))
    sequential.insert(-1, Numbered(7))
    assert children(sequential) == [9, 7, 8, 0, 2, 1]
    del sequential[1]
    assert children(sequential) == [9, 7, 8, 2, 1]
    sequential[1] = Numbered(6)
    assert children(sequential) == [9, 6, 7, 2, 1]
    sequential += Sequential(Numbered(30), abs, Numbered(31))
    assert children(sequential) == [9, 31, 30, 6, 7, 2, 1]


def test_repeated_links_have_chainers_names():
    assert [link.name for link in Link().repeat(4)] == ['0', '3', '2', '1']
