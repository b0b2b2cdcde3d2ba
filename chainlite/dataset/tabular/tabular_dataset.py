"""The interface of tables, and what a row looks like."""

from chainlite.dataset.convert import concat_examples
from chainlite.dataset.dataset_mixin import DatasetMixin

_views = {}  # classes by name: they stand on this module, which gives their names methods


def view(cls):
    """Makes a class known to the methods of :class:`TabularDataset` that return it."""
    _views[cls.__name__] = cls
    return cls


class TabularDataset(DatasetMixin):
    """Base of datasets that are tables: an example is a row, a column has a key.

    A subclass overrides ``__len__``, :attr:`keys`, :attr:`mode` and :meth:`get_examples`. Views of a table (slices,
    joins, transformed columns) fetch only the rows and columns that are asked for.
    """

    def __len__(self):
        """Returns the number of rows."""
        raise NotImplementedError

    @property
    def keys(self):
        """Names of the columns, a tuple of strings."""
        raise NotImplementedError

    @property
    def mode(self):
        """What a row is: ``tuple``, ``dict``, or None for the bare value of a table with one column."""
        raise NotImplementedError

    def get_examples(self, indices, key_indices):
        """Returns some columns of some rows, as a tuple of lists or arrays, one per column.

        Args:
            indices: List of row numbers, a slice, or None for all rows.
            key_indices: Tuple of column numbers, or None for all columns.
        """
        raise NotImplementedError

    @property
    def slice(self):
        """Views by index: ``dataset.slice[rows]`` or ``dataset.slice[rows, keys]``.

        Rows are a slice, a list of integers, or a list of booleans as long as the table; keys are one column's name or
        number, which gives a table of bare values, or a tuple of them.
        """
        return _views['Slicer'](self)

    def fetch(self):
        """Returns the whole table as columns, in the form of :attr:`mode`."""
        return as_mode(self.mode, self.keys, self.get_examples(None, None))

    def convert(self, data):
        """Returns fetched columns (in the form that :meth:`fetch` returns) as arrays."""
        if isinstance(data, tuple):
            return tuple(concat_examples(column) for column in data)
        if isinstance(data, dict):
            return {key: concat_examples(column) for key, column in data.items()}
        return concat_examples(data)

    def astuple(self):
        """Returns a view whose rows are tuples."""
        return _views['AsMode'](self, tuple)

    def asdict(self):
        """Returns a view whose rows are dictionaries."""
        return _views['AsMode'](self, dict)

    def concat(self, *datasets):
        """Returns a view of this table with the rows of others, which have the same keys, below it."""
        return _views['Concat'](self, *datasets)

    def join(self, *datasets):
        """Returns a view of this table with the columns of others, which are as long, beside it."""
        return _views['Join'](self, *datasets)

    def transform(self, keys, transform):
        """Returns a view with the columns that ``transform`` makes of a row.

        Args:
            keys: Name of the new column, or a tuple of names.
            transform: Function that takes a row (its values as arguments, by keyword if :attr:`mode` is ``dict``) and
                returns the new row: a tuple, a dictionary or a bare value, always of one kind.
        """
        return _views['Transform'](self, keys, transform)

    def transform_batch(self, keys, transform_batch):
        """Returns a view with the columns that ``transform_batch`` makes of columns: :meth:`transform`, many rows at
        a time.
        """
        return _views['TransformBatch'](self, keys, transform_batch)

    def with_converter(self, converter):
        """Returns a view whose :meth:`convert` is ``converter``, called with the columns as arguments."""
        return _views['WithConverter'](self, converter)

    def get_example(self, i):
        """Returns the row number ``i``."""
        return as_mode(self.mode, self.keys, tuple(column[0] for column in self.get_examples([i], None)))

    def __iter__(self):
        return (self.get_example(i) for i in range(len(self)))


def as_mode(mode, keys, values):
    """Returns a tuple of values, one per key, as a tuple, a dictionary or, if mode is None, its only value."""
    if mode is dict:
        return dict(zip(keys, values))
    return values[0] if mode is None else tuple(values)


def call_with(function, mode, keys, values):
    """Calls a function with a row or with columns: by keyword if the rows are dictionaries."""
    return function(**dict(zip(keys, values))) if mode is dict else function(*values)
