from chainlite.functions.array.transpose_sequence import transpose_sequence
from chainlite.functions.loss.crf1d import argmax_crf1d, crf1d
from chainlite.initializers import _get_initializer
from chainlite.link import Link
from chainlite.links.rnn.n_step_rnn import argsort_list_descent, permutate_list
from chainlite.variable import Parameter


class CRF1d(Link):
    """Linear-chain conditional random field.

    Args:
        n_label: Number of labels.
        initial_cost: Initializer of the transition costs, 0 by default.

    Attributes:
        cost: Transition costs, (n_label, n_label).
    """

    def __init__(self, n_label, initial_cost=None):
        super().__init__()
        with self.init_scope():
            self.cost = Parameter(_get_initializer(initial_cost, 0), (n_label, n_label))

    def forward(self, xs, ys, reduce='mean', transpose=False):
        """Computes the negative log-likelihood.

        Args:
            xs: List over time of scores, (n, n_label) each, n not growing; with ``transpose`` a list of sequences.
            ys: Labels, likewise: (n) each, int32.
            reduce: ``'mean'`` over sequences, or ``'no'``.
            transpose: Whether the lists are over sequences, of any lengths.
        """
        if transpose:
            indices = argsort_list_descent(xs)
            xs = transpose_sequence(permutate_list(xs, indices, inv=False))
            ys = transpose_sequence(permutate_list(ys, indices, inv=False))
        return crf1d(self.cost, xs, ys, reduce)

    def argmax(self, xs, transpose=False):
        """Finds the most likely labels; the arguments are those of a call.

        Returns:
            Variable of the scores, and the list of labels, over time or with ``transpose`` over sequences.
        """
        if not transpose:
            return argmax_crf1d(self.cost, xs)
        indices = argsort_list_descent(xs)
        score, path = argmax_crf1d(self.cost, transpose_sequence(permutate_list(xs, indices, inv=False)))
        path = transpose_sequence(path)
        return score[indices.argsort()], [p.array for p in permutate_list(path, indices, inv=True)]
