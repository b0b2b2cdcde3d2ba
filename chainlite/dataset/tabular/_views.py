"""Views of tables that leave the values as they are."""

import bisect
import itertools

from chainlite.dataset.tabular.delegate_dataset import DelegateDataset
from chainlite.dataset.tabular.tabular_dataset import TabularDataset, view


@view
class AsMode(DelegateDataset):
    """A table with another kind of row."""

    def __init__(self, dataset, mode):
        super().__init__(dataset)
        self._mode = mode

    @property
    def mode(self):
        return self._mode


@view
class WithConverter(DelegateDataset):
    """A table with another :meth:`convert`."""

    def __init__(self, dataset, converter):
        super().__init__(dataset)
        self._converter = converter

    def convert(self, data):
        if isinstance(data, dict):
            return self._converter(**data)
        return self._converter(*data) if isinstance(data, tuple) else self._converter(data)


@view
class Concat(TabularDataset):
    """Tables on top of each other; keys, mode and converter are those of the first."""

    def __init__(self, *datasets):
        for dataset in datasets[1:]:
            if dataset.keys != datasets[0].keys:
                raise ValueError('All datasets must have the same keys')
        self._datasets = datasets
        self._ends = list(itertools.accumulate(map(len, datasets)))

    def __len__(self):
        return self._ends[-1]

    @property
    def keys(self):
        return self._datasets[0].keys

    @property
    def mode(self):
        return self._datasets[0].mode

    def convert(self, data):
        return self._datasets[0].convert(data)

    def get_examples(self, indices, key_indices):
        if indices is None:
            return _concat_columns([dataset.get_examples(None, key_indices) for dataset in self._datasets])
        if isinstance(indices, slice):
            return self._get_slice(indices, key_indices)
        if not len(indices):
            return tuple([] for _ in (self.keys if key_indices is None else key_indices))

        parts = [[] for _ in self._datasets]  # the rows asked for, by the table that has them
        places = []  # for each row: (table, place in its part)
        for index in indices:
            table = next(i for i, end in enumerate(self._ends) if index < end)
            places.append((table, len(parts[table])))
            parts[table].append(index - self._start(table))
        used = [i for i, part in enumerate(parts) if part]
        fetched = {i: self._datasets[i].get_examples(parts[i], key_indices) for i in used}
        if len(used) == 1:
            return fetched[used[0]]
        n_columns = len(fetched[used[0]])
        return tuple([fetched[table][column][place] for table, place in places] for column in range(n_columns))

    def _get_slice(self, indices, key_indices):
        rows = range(*indices.indices(len(self)))
        ascending = rows if rows.step > 0 else rows[::-1]
        tables = []
        for i, dataset in enumerate(self._datasets):
            first, end = self._start(i), self._ends[i]
            own = ascending[bisect.bisect_left(ascending, first) : bisect.bisect_left(ascending, end)]
            if own:
                start = (own[0] if rows.step > 0 else own[-1]) - first
                stop = min(rows.stop, end) - first
                tables.append((dataset, slice(start, stop if stop >= 0 else None, rows.step)))
        if not tables:
            return tuple([] for _ in (self.keys if key_indices is None else key_indices))
        if rows.step < 0:
            tables.reverse()
        return _concat_columns([dataset.get_examples(part, key_indices) for dataset, part in tables])

    def _start(self, table):
        return self._ends[table - 1] if table else 0


def _concat_columns(tables):
    if len(tables) == 1:
        return tables[0]
    return tuple([value for column in columns for value in column] for columns in zip(*tables))


@view
class Join(TabularDataset):
    """Tables side by side; mode and converter are those of the first that has them."""

    def __init__(self, *datasets):
        keys = [key for dataset in datasets for key in dataset.keys]
        if any(len(dataset) != len(datasets[0]) for dataset in datasets):
            raise ValueError('All datasets must have the same length')
        if len(set(keys)) != len(keys):
            raise ValueError('All keys must be unique among all datasets')
        self._datasets = datasets
        self._keys = tuple(keys)

    def __len__(self):
        return len(self._datasets[0])

    @property
    def keys(self):
        return self._keys

    @property
    def mode(self):
        return next((dataset.mode for dataset in self._datasets if dataset.mode), tuple)

    def convert(self, data):
        return self._datasets[0].convert(data)

    def get_examples(self, indices, key_indices):
        if key_indices is None:
            return tuple(column for dataset in self._datasets for column in dataset.get_examples(indices, None))
        columns = {}
        first = 0
        for dataset in self._datasets:
            end = first + len(dataset.keys)
            own = [i for i in key_indices if first <= i < end]
            if own:
                columns.update(zip(own, dataset.get_examples(indices, tuple(i - first for i in own))))
            first = end
        return tuple(columns[i] for i in key_indices)
