class TupleDataset:
    """Datasets of one length side by side: an example is the tuple of theirs.

    Args:
        datasets: Arrays, lists or datasets; a slice of the result slices them, so they must support that.

    Raises:
        ValueError: if none is given, or lengths differ.
    """

    def __init__(self, *datasets):
        if not datasets:
            raise ValueError('no datasets are given')
        for i, dataset in enumerate(datasets):
            if len(dataset) != len(datasets[0]):
                raise ValueError(f'dataset of the index {i} has a wrong length')
        self._datasets = datasets
        self._length = len(datasets[0])

    def __getitem__(self, index):
        """Returns one example; a list of them for a slice."""
        values = tuple([dataset[index] for dataset in self._datasets])
        return list(zip(*values)) if isinstance(index, slice) else values

    def __len__(self):
        return self._length
