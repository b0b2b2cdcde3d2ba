"""What a dataset, an iterator and a converter are."""

from chainlite.dataset.convert import ConcatWithAsyncTransfer
from chainlite.dataset.convert import Converter
from chainlite.dataset.convert import concat_examples
from chainlite.dataset.convert import converter
from chainlite.dataset.convert import to_device
from chainlite.dataset.dataset_mixin import DatasetMixin
from chainlite.dataset.download import cache_or_load_file
from chainlite.dataset.download import cached_download
from chainlite.dataset.download import get_dataset_directory
from chainlite.dataset.download import get_dataset_root
from chainlite.dataset.download import set_dataset_root
from chainlite.dataset.iterator import Iterator
from chainlite.dataset import tabular
from chainlite.dataset.tabular.tabular_dataset import TabularDataset
