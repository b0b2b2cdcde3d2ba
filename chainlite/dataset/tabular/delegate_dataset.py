from chainlite.dataset.tabular.tabular_dataset import TabularDataset


class DelegateDataset(TabularDataset):
    """A table that is another one, to be given other methods by a subclass.

    Args:
        dataset: TabularDataset, kept as the attribute ``dataset``.
    """

    def __init__(self, dataset):
        self.dataset = dataset

    def __len__(self):
        return len(self.dataset)

    @property
    def keys(self):
        return self.dataset.keys

    @property
    def mode(self):
        return self.dataset.mode

    def get_examples(self, indices, key_indices):
        return self.dataset.get_examples(indices, key_indices)

    def convert(self, data):
        return self.dataset.convert(data)
