class DictDataset:
    """Datasets of one length side by side: an example is the dictionary of theirs.

    Args:
        datasets: Arrays, lists or datasets by keyword; a slice of the result slices them.

    Raises:
        ValueError: if none is given, or lengths differ.
    """

    def __init__(self, **datasets):
        if not datasets:
            raise ValueError('no datasets are given')
        length = len(next(iter(datasets.values())))
        for key, dataset in datasets.items():
            if len(dataset) != length:
                raise ValueError(f'dataset length conflicts at "{key}"')
        self._datasets = datasets
        self._length = length

    def __getitem__(self, index):
        """Returns one example; a list of them for a slice."""
        values = {key: dataset[index] for key, dataset in self._datasets.items()}
        if isinstance(index, slice):
            return [dict(zip(values, example)) for example in zip(*values.values())]
        return values

    def __len__(self):
        return self._length
