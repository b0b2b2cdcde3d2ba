class Updater:
    """Base of updaters: what a trainer calls for one iteration.

    A subclass has the attribute ``iteration``, and what triggers and extensions use of ``epoch``, ``epoch_detail``,
    ``previous_epoch_detail`` and ``is_new_epoch``.
    """

    def connect_trainer(self, trainer):
        """Called by the trainer that gets this updater."""

    def finalize(self):
        """Cleans up; called when the training has ended."""

    def get_optimizer(self, name):
        """Returns the optimizer of a name."""
        raise NotImplementedError

    def get_all_optimizers(self):
        """Returns the dictionary from names to optimizers."""
        raise NotImplementedError

    def update(self):
        """Does one iteration."""
        raise NotImplementedError

    def serialize(self, serializer):
        """Saves or loads the state of the training: iterators, optimizers, models."""
        raise NotImplementedError
