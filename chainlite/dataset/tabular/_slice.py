"""Views of tables: some rows and some columns."""

import numbers

import numpy

from chainlite.dataset.tabular.tabular_dataset import TabularDataset, view


@view
class Slicer:
    """What ``dataset.slice`` is, waiting for its index."""

    def __init__(self, dataset):
        self._dataset = dataset

    def __getitem__(self, index):
        rows, keys = index if isinstance(index, tuple) else (index, None)
        return Slice(self._dataset, rows, keys)


class Slice(TabularDataset):
    """Some rows and columns of a table.

    Raises:
        IndexError, KeyError, ValueError: if a row or a column does not exist, or a mask has another length.
    """

    def __init__(self, dataset, rows, keys):
        self._dataset = dataset
        self._rows = _as_rows(rows, len(dataset))
        self._key_indices = None
        self._single = keys is not None and not isinstance(keys, tuple)
        if keys is not None:
            names = dataset.keys
            self._key_indices = tuple(_as_key_index(key, names) for key in ((keys,) if self._single else keys))

    def __len__(self):
        if isinstance(self._rows, slice):
            return len(range(*self._rows.indices(len(self._dataset))))
        return len(self._rows)

    @property
    def keys(self):
        names = self._dataset.keys
        return names if self._key_indices is None else tuple(names[i] for i in self._key_indices)

    @property
    def mode(self):
        if self._single:
            return None
        return self._dataset.mode if self._key_indices is None else self._dataset.mode or tuple

    def convert(self, data):
        return self._dataset.convert(data)

    def get_examples(self, indices, key_indices):
        if key_indices is None:
            key_indices = self._key_indices
        elif self._key_indices is not None:
            key_indices = tuple(self._key_indices[i] for i in key_indices)
        return self._dataset.get_examples(_compose(self._rows, indices, len(self._dataset)), key_indices)


def _as_rows(rows, length):
    """Returns a slice, or a list of integers that are not negative."""
    if isinstance(rows, slice):
        return rows
    rows = list(rows)
    if rows and all(isinstance(row, (bool, numpy.bool_)) for row in rows):
        if len(rows) != length:
            raise ValueError(f'The number of booleans is different from the length of dataset: {len(rows)} != {length}')
        return [i for i, chosen in enumerate(rows) if chosen]
    for row in rows:
        if not -length <= row < length:
            raise IndexError(f'index {row} is out of bounds for dataset with size {length}')
    return [int(row) % length for row in rows]


def _as_key_index(key, names):
    if isinstance(key, numbers.Integral):
        if not -len(names) <= key < len(names):
            raise IndexError(f'index {key} is out of bounds for keys with size {len(names)}')
        return int(key) % len(names)
    if key not in names:
        raise KeyError(f'{key} does not exists')
    return names.index(key)


def _compose(rows, indices, length):
    """Returns the rows of the base that are meant by ``indices`` into ``rows``."""
    if indices is None:
        return rows
    if isinstance(rows, slice):
        rows = range(*rows.indices(length))
    if not isinstance(indices, slice):
        return [rows[i] for i in indices]
    chosen = rows[indices]
    if isinstance(chosen, range):
        return slice(chosen.start, chosen.stop if chosen.stop >= 0 else None, chosen.step)
    return chosen
