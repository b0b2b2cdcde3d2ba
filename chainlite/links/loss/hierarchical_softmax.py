import heapq
import itertools

import numpy

from chainlite.configuration import get_dtype
from chainlite.device_resident import DeviceResident
from chainlite.functions.activation.softplus import softplus
from chainlite.functions.connection.embed_id import embed_id
from chainlite.functions.math.sum import sum as sum_variable
from chainlite.initializers import Uniform
from chainlite.link import Link
from chainlite.variable import Parameter, as_array


class BinaryHierarchicalSoftmaxFunction(DeviceResident):
    """The loss, given where the labels are in the tree.

    Attributes:
        paths: Inner nodes on the ways from the root to the leaves, one way after the other, int32.
        codes: 1 where a way goes to the left, -1 where it goes to the right.
        begins: Where in ``paths`` the way to each label begins, int32.
        parser_size: Number of inner nodes.
    """

    def __init__(self, tree, dtype=None):
        super().__init__()
        ways = {}
        self.parser_size = _collect_ways(tree, (), itertools.count(), ways)
        n = max(ways) + 1
        ways = [ways.get(label, ()) for label in range(n)]
        self.begins = numpy.cumsum([0, *map(len, ways)]).astype(numpy.int32)
        self.paths = numpy.array([node for way in ways for node, _ in way], numpy.int32)
        self.codes = numpy.array([code for way in ways for _, code in way], get_dtype(dtype))

    def device_resident_accept(self, visitor):
        super().device_resident_accept(visitor)
        for name in ('paths', 'codes', 'begins'):
            setattr(self, name, visitor.visit_array(getattr(self, name)))

    def __call__(self, x, t, W):
        """Sums -log p(t) over the batch; p is the product of sigmoid(code * x W[node]) along the way to t."""
        xp = self.xp
        t = as_array(t)
        begins, lengths = self.begins[t], self.begins[t + 1] - self.begins[t]
        rows = xp.repeat(xp.arange(len(t)), lengths.tolist())
        steps = xp.arange(len(rows)) - (xp.cumsum(lengths) - lengths)[rows] + begins[rows]
        nodes = embed_id(self.paths[steps], W)
        score = sum_variable(x[rows] * nodes, axis=1) * self.codes[steps].astype(x.dtype)
        return sum_variable(softplus(-score))


def _collect_ways(tree, way, numbers, ways):
    """Fills ``ways`` with the way, pairs of node and code, to each label; returns the number of inner nodes."""
    if not isinstance(tree, tuple):
        if tree in ways:
            raise ValueError(f'label {tree} is twice in the tree')
        ways[tree] = way
        return 0
    if len(tree) != 2:
        raise ValueError(f'All internal nodes must have two child nodes, not {len(tree)}')
    node = next(numbers)
    return 1 + sum(_collect_ways(child, (*way, (node, code)), numbers, ways) for child, code in zip(tree, (1.0, -1.0)))


class BinaryHierarchicalSoftmax(Link):
    """Softmax over the leaves of a binary tree: the loss of a label costs the length of the way to it.

    Args:
        in_size: Size of the input.
        tree: Binary tree as nested pairs, with the labels 0, 1, ... as leaves, such as ``((0, 1), 2)``.
        dtype: Dtype of the computation, ``config.dtype`` by default.

    Attributes:
        W: Weight, (number of inner nodes, in_size).

    See: Morin and Bengio, Hierarchical Probabilistic Neural Network Language Model, AISTATS 2005
    """

    def __init__(self, in_size, tree, dtype=None):
        super().__init__()
        self._func = BinaryHierarchicalSoftmaxFunction(tree, get_dtype(dtype))
        with self.init_scope():
            self.W = Parameter(Uniform(1), (self._func.parser_size, in_size))

    def device_resident_accept(self, visitor):
        super().device_resident_accept(visitor)
        self._func.device_resident_accept(visitor)

    @staticmethod
    def create_huffman_tree(word_counts):
        """Makes the tree with the shortest ways on average from a dictionary of labels and how often they occur."""
        if not word_counts:
            raise ValueError('Empty vocabulary')
        order = itertools.count()  # so that equal counts are never followed by a comparison of trees
        heap = [(count, next(order), label) for label, count in word_counts.items()]
        heapq.heapify(heap)
        while len(heap) > 1:
            (n1, _, left), (n2, _, right) = heapq.heappop(heap), heapq.heappop(heap)
            heapq.heappush(heap, (n1 + n2, next(order), (left, right)))
        return heap[0][2]

    def forward(self, x, t):
        """Sums the loss of ``x``, (n, in_size), with the labels ``t``, (n), int32."""
        return self._func(x, t, self.W)
