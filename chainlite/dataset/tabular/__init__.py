"""Datasets as tables: columns by key, fetched many rows at once."""

from chainlite.dataset.tabular import _slice, _transform, _views  # noqa: F401  (TabularDataset has methods for them)
from chainlite.dataset.tabular.delegate_dataset import DelegateDataset
from chainlite.dataset.tabular.from_data import from_data
