"""Graphs in the DOT language."""

import re

import pytest

import chainlite
import chainlite.functions as F
from chainlite.computational_graph import DotNode, build_computational_graph


@pytest.fixture
def graph(xp):
    """x -> relu -> h, (x, h) -> add -> y."""
    x = chainlite.Variable(xp.ones((2, 3), 'f'), name='x')
    h = F.relu(x)
    return x, h, x + h


def readable(text, *nodes):
    for i, node in enumerate(nodes):
        text = text.replace(str(id(node)), f'n{i}')
    assert not re.search(r'\d{8,}', text)
    return text


def test_nodes_and_edges(graph):
    x, h, y = graph
    relu, add = h.creator_node, y.creator_node
    g = build_computational_graph([y])
    assert set(g.nodes) == {x.node, h.node, y.node, relu, add} and len(g.nodes) == 5
    assert set(g.edges) == {(x.node, relu), (relu, h.node), (x.node, add), (h.node, add), (add, y.node)}
    assert len(g.edges) == 5


@pytest.mark.parametrize(
    'select, n_nodes',
    [
        (lambda x, h, y: y, 5),
        (lambda x, h, y: y.node, 5),
        (lambda x, h, y: y.creator_node, 4),
        (lambda x, h, y: [h, y, x], 5),
        (lambda x, h, y: (x,), 1),
        (lambda x, h, y: [], 0),
    ],
)
def test_outputs_are_variables_or_nodes(graph, select, n_nodes):
    assert len(build_computational_graph(select(*graph)).nodes) == n_nodes


def test_dot_text(graph):
    x, h, y = graph
    text = build_computational_graph([h]).dump()
    assert readable(text, h.node, h.creator_node, x.node) == (
        'digraph graphname{rankdir=TB;'
        'n0 [label="(2, 3), float32",shape="octagon",fillcolor="#E0E0E0",style="filled"];'
        'n1 [label="ReLU",shape="record",fillcolor="#6495ED",style="filled"];'
        'n2 [label="x: (2, 3), float32",shape="octagon",fillcolor="#E0E0E0",style="filled"];'
        'n1 -> n0;n2 -> n1;}'
    )


def test_text_is_the_same_every_time(graph):
    assert build_computational_graph([graph[2]]).dump() == build_computational_graph([graph[2]]).dump()


def test_styles(graph):
    x, h, y = graph
    text = build_computational_graph(
        [h], variable_style={'shape': 'box'}, function_style={'label': 'a "b"'}, rankdir='LR', show_name=False
    ).dump()
    assert readable(text, h.node, h.creator_node, x.node) == (
        'digraph graphname{rankdir=LR;n0 [label="(2, 3), float32",shape="box"];'
        'n1 [label="a \\"b\\"",shape="box"];n2 [label="(2, 3), float32",shape="box"];n1 -> n0;n2 -> n1;}'
    )


def test_functions_only(graph):
    x, h, y = graph
    text = build_computational_graph([y], remove_variable=True, function_style={}).dump()
    assert readable(text, h.creator_node, y.creator_node) == (
        'digraph graphname{rankdir=TB;n1 [label="_ + _",shape="box"];n0 [label="ReLU",shape="box"];n0 -> n1;}'
    )


def test_a_node_by_itself(graph):
    node = graph[0].node
    assert DotNode(node).label == f'{id(node)} [label="x: (2, 3), float32",shape="oval"];'
    assert DotNode(node, {'a': 1}, show_name=False).label == f'{id(node)} [label="(2, 3), float32",shape="oval",a="1"];'


def test_bad_arguments(graph):
    with pytest.raises(ValueError, match='rankdir must be in TB, BT, LR or RL.'):
        build_computational_graph([graph[0]], rankdir='TL')
    with pytest.raises(ValueError, match='remove_split=False is not supported anymore'):
        build_computational_graph([graph[0]], remove_split=False)
    with pytest.raises(NotImplementedError, match='only dot format is supported'):
        build_computational_graph([graph[0]]).dump('png')
    with pytest.raises(TypeError, match='element of outputs must be either Variable, VariableNode'):
        build_computational_graph([graph[0].array])
