import bisect
import itertools

from chainlite.dataset.dataset_mixin import DatasetMixin


class ConcatenatedDataset(DatasetMixin):
    """Datasets one after the other.

    Args:
        datasets: Datasets in order.
    """

    def __init__(self, *datasets):
        self._datasets = datasets
        self._ends = list(itertools.accumulate(map(len, datasets)))

    def __len__(self):
        return self._ends[-1] if self._ends else 0

    def get_example(self, i):
        if not 0 <= i < len(self):
            raise IndexError(f'index {i} is out of bounds for a dataset of length {len(self)}')
        number = bisect.bisect_right(self._ends, i)
        return self._datasets[number][i - self._ends[number] + len(self._datasets[number])]
