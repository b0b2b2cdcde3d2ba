"""Views of tables with computed columns."""

from chainlite.dataset.tabular.tabular_dataset import TabularDataset, call_with, view


class _Transformed(TabularDataset):
    """A table whose columns a function makes; the kind of its rows is that of what the function returns."""

    def __init__(self, dataset, keys, transform):
        self._dataset = dataset
        self._keys = keys if isinstance(keys, tuple) else (keys,)
        self._transform = transform

    def __len__(self):
        return len(self._dataset)

    @property
    def keys(self):
        return self._keys

    @property
    def mode(self):
        if not hasattr(self, '_mode'):
            self._probe()
        return self._mode

    def convert(self, data):
        return self._dataset.convert(data)

    def _probe(self):
        """Finds the mode by computing the first row."""
        self.get_examples([0], None)

    def _call(self, values):
        """Returns what the function makes of a row or of columns, as a tuple in the order of the keys."""
        result = call_with(self._transform, self._dataset.mode, self._dataset.keys, values)
        mode = next((kind for kind in (tuple, dict) if isinstance(result, kind)), None)
        if getattr(self, '_mode', mode) is not mode:
            raise ValueError(
                'transform_batch must not change its mode'
                if isinstance(self, TransformBatch)
                else 'transform must not change its mode'
            )
        self._mode = mode
        if mode is dict:
            return tuple(result[key] for key in self._keys)
        return (result,) if mode is None else result


@view
class Transform(_Transformed):
    """A table made of another row by row."""

    def get_examples(self, indices, key_indices):
        rows = [self._call(row) for row in zip(*self._dataset.get_examples(indices, None))]
        wanted = range(len(self._keys)) if key_indices is None else key_indices
        return tuple([row[i] for row in rows] for i in wanted)


@view
class TransformBatch(_Transformed):
    """A table made of another many rows at a time."""

    def get_examples(self, indices, key_indices):
        columns = self._dataset.get_examples(indices, None)
        result = self._call(columns)
        length = len(columns[0]) if columns else len(self)
        if any(len(column) != length for column in result):
            raise ValueError('transform_batch must not change the length of data')
        return result if key_indices is None else tuple(result[i] for i in key_indices)
