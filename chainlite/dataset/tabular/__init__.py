"""Datasets as tables: columns by key, fetched many rows at once."""
from chainlite.dataset.tabular.delegate_dataset import DelegateDataset
from chainlite.dataset.tabular.from_data import from_data
