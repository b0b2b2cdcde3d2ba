"""Parts of datasets: splits and cross-validation folds, which refer to the dataset and copy nothing."""

import warnings

import numpy

from chainlite.dataset.dataset_mixin import DatasetMixin


class SubDataset(DatasetMixin):
    """The examples ``start`` to ``finish`` (exclusive) of a dataset, in its order or in a given one.

    Args:
        dataset: The dataset behind.
        start: First index.
        finish: Index after the last; smaller than ``start`` for a part that wraps around the end.
        order: Permutation of indices that the two count in; None for the dataset's own order.

    Raises:
        ValueError: if the part exceeds the dataset, or the order has another length.
    """

    def __init__(self, dataset, start, finish, order=None):
        if start < 0 or finish > len(dataset):
            raise ValueError('subset overruns the base dataset.')
        if order is not None and len(order) != len(dataset):
            raise ValueError(
                'order option must have the same length as the base dataset: '
                f'len(order) = {len(order)} while len(dataset) = {len(dataset)}'
            )
        self._dataset, self._order = dataset, order
        self._start, self._size = start, finish - start
        if self._size < 0:
            self._size += len(dataset)

    def __len__(self):
        return self._size

    def get_example(self, i):
        if not -self._size <= i < self._size:
            raise IndexError('dataset index out of range')
        index = (self._start + i % self._size) % len(self._dataset)  # the part may go around the end
        return self._dataset[index if self._order is None else self._order[index]]


def split_dataset(dataset, split_at, order=None):
    """Splits a dataset in two.

    Args:
        dataset: The dataset.
        split_at: Size of the first part.
        order: Permutation of indices to split in; None for the dataset's own order.

    Returns:
        Two SubDatasets.

    Raises:
        TypeError, ValueError: if ``split_at`` is no integer between 0 and the length.
    """
    if not isinstance(split_at, (int, numpy.integer)):
        raise TypeError(f'split_at must be int, got {type(split_at)} instead')
    n = len(dataset)
    if split_at < 0:
        raise ValueError('split_at must be non-negative')
    if split_at > n:
        raise ValueError('split_at exceeds the dataset size')
    return SubDataset(dataset, 0, split_at, order), SubDataset(dataset, split_at, n, order)


def split_dataset_random(dataset, first_size, seed=None):
    """Splits a dataset in two at random: ``first_size`` examples, and the others.

    Args:
        seed: Seed of the permutation; None draws from NumPy's global generator.
    """
    return split_dataset(dataset, first_size, _permutation(dataset, seed))


def split_dataset_n(dataset, n, order=None):
    """Splits a dataset into ``n`` parts of one size; the examples that are left over are in none."""
    size = len(dataset) // n
    return [SubDataset(dataset, size * i, size * (i + 1), order) for i in range(n)]


def split_dataset_n_random(dataset, n, seed=None):
    """Splits a dataset at random into ``n`` parts of one size; the examples that are left over are in none.

    Args:
        seed: Seed of the permutation; None draws from NumPy's global generator.
    """
    return split_dataset_n(dataset, n, _permutation(dataset, seed))


def get_cross_validation_datasets(dataset, n_folds=None, order=None, **kwargs):
    """Makes the pairs of training and test part for cross-validation.

    Each example is in the test part of one pair, and in the training part of all others.

    Args:
        dataset: The dataset.
        n_folds: Number of pairs.
        order: Permutation of indices that the folds are taken in; None for the dataset's own order.
    """
    if 'n_fold' in kwargs:
        warnings.warn('Argument `n_fold` is deprecated. Please use `n_folds` instead', DeprecationWarning)
        n_folds = kwargs.pop('n_fold')
    if kwargs:
        raise TypeError(f'get_cross_validation_datasets() got unexpected keyword argument(s) {", ".join(kwargs)}')
    if n_folds is None:
        raise ValueError('n_folds is needed: the number of cross-validation splits')
    n = len(dataset)
    # The first folds are the larger ones, and they end at n, n - size(0), ...
    sizes = [(n + n_folds - i - 1) // n_folds for i in range(n_folds)]
    ends = n - numpy.cumsum([0, *sizes])
    return [_split_around(dataset, order, int(start), int(end)) for start, end in zip(ends[1:], ends[:-1])]


def get_cross_validation_datasets_random(dataset, n_folds, seed=None, **kwargs):
    """Makes the pairs of training and test part for cross-validation from a random permutation.

    Args:
        seed: Seed of the permutation; None draws from NumPy's global generator.
    """
    return get_cross_validation_datasets(dataset, n_folds, _permutation(dataset, seed), **kwargs)


def _split_around(dataset, order, start, end):
    """Returns what lies around [start, end), from end on and wrapping around, and what lies in it."""
    n = len(dataset)
    training = SubDataset(dataset, 0, start, order) if end == n else SubDataset(dataset, end, start, order)
    return training, SubDataset(dataset, start, end, order)


def _permutation(dataset, seed):
    random = numpy.random if seed is None else numpy.random.RandomState(seed)
    return random.permutation(len(dataset))
