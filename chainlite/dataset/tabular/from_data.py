"""Tables from arrays, lists and functions."""

import itertools

from chainlite.dataset.tabular.tabular_dataset import TabularDataset

_numbers = itertools.count()  # for the keys of columns that have none: no two columns share one


def from_data(data, *, size=None):
    """Makes a table of columns that are arrays, lists or functions of the row number.

    Args:
        data: One of

            - an array or a list: a table of bare values;
            - a pair ``(key, column)``: the same with a name, or ``((key, ...), function)`` for a function that returns
              a tuple or a dictionary of several columns;
            - a tuple of any of these: a table of tuples;
            - a dictionary ``{key: column}`` or ``{(key, ...): function}``: a table of dictionaries.
        size: Number of rows, needed if all columns are functions.

    Raises:
        ValueError: if a function has no key, no size is known, or lengths differ.
    """
    if isinstance(data, dict):
        columns = [_make(value, key) for key, value in data.items()]
        mode = dict
    elif isinstance(data, tuple) and not _is_named(data):
        columns = [_make(*reversed(item)) if _is_named(item) else _make(item) for item in data]
        mode = tuple
    else:
        columns = [_make(*reversed(data)) if _is_named(data) else _make(data)]
        mode = columns[0].mode if callable(columns[0].source) else None
    lengths = {len(column.source) for column in columns if not callable(column.source)}
    if size is not None:
        lengths.add(size)
    if len(lengths) > 1:
        raise ValueError('All lengths must be the same')
    if not lengths:
        raise ValueError('size is required if data consists of only callables')
    return _Data(columns, mode, lengths.pop())


def _is_named(data):
    """Whether this is (key, column) or ((key, ...), function)."""
    if not (isinstance(data, tuple) and len(data) == 2):
        return False
    key = data[0]
    return isinstance(key, str) or isinstance(key, tuple) and all(isinstance(k, str) for k in key)


class _Column:
    """An array, a list or a function, with the keys of what it holds."""

    def __init__(self, source, keys, several):
        self.source = source
        self.keys = keys
        self._several = several  # a function that returns all of a tuple of keys

    @property
    def mode(self):
        return type(self.source(0)) if self._several else None

    def get(self, indices, length):
        """Returns the chosen rows as a tuple of columns."""
        if callable(self.source):
            chosen = range(length)
            if indices is not None:
                chosen = chosen[indices] if isinstance(indices, slice) else indices
            rows = [self.source(i) for i in chosen]
            if not self._several:
                return (rows,)
            if rows and isinstance(rows[0], dict):
                rows = [tuple(row[key] for key in self.keys) for row in rows]
            return tuple([row[i] for row in rows] for i in range(len(self.keys)))
        if indices is None:
            return (self.source,)
        if isinstance(indices, slice) or hasattr(self.source, 'ndim'):
            return (self.source[indices],)
        return ([self.source[i] for i in indices],)


def _make(source, key=None):
    if callable(source) and key is None:
        raise ValueError('key(s) must be specified for callable')
    if key is None:
        return _Column(source, (f'_{next(_numbers)}',), False)
    several = isinstance(key, tuple)
    if several and not callable(source):
        raise ValueError('Several keys are for a function that returns several values')
    return _Column(source, key if several else (key,), several)


class _Data(TabularDataset):
    """A table of columns in memory or computed."""

    def __init__(self, columns, mode, length):
        self._columns = columns
        self._mode = mode
        self._length = length
        self._keys = tuple(key for column in columns for key in column.keys)

    def __len__(self):
        return self._length

    @property
    def keys(self):
        return self._keys

    @property
    def mode(self):
        return self._mode

    def get_examples(self, indices, key_indices):
        values = []
        for column in self._columns:
            numbers = range(len(values), len(values) + len(column.keys))
            wanted = key_indices is None or any(i in numbers for i in key_indices)
            values.extend(column.get(indices, self._length) if wanted else (None,) * len(column.keys))
        return tuple(values) if key_indices is None else tuple(values[i] for i in key_indices)
