"""Trainers for tests of extensions and triggers."""

import math
from unittest import mock

from chainlite import training


def is_available():
    """Always true: the mocks come with Python."""
    return True


def get_error():
    """Always None."""


def check_available():
    """Does nothing: the mocks come with Python."""


def get_trainer_with_mock_updater(stop_trigger=(10, 'iteration'), iter_per_epoch=10, extensions=None):
    """Makes a Trainer whose updater counts and does nothing else.

    Args:
        stop_trigger (tuple): When the training ends.
        iter_per_epoch (float): Iterations in an epoch.
        extensions (list): The extensions, none if None.
    """
    updater = mock.Mock(iteration=0, epoch=0, epoch_detail=0, is_new_epoch=True, previous_epoch_detail=None)
    updater.get_all_optimizers.return_value = {}

    def update():
        updater.previous_epoch_detail = updater.iteration / iter_per_epoch
        updater.iteration += 1
        updater.epoch_detail = updater.iteration / iter_per_epoch
        updater.epoch = updater.iteration // iter_per_epoch
        updater.is_new_epoch = math.floor(updater.previous_epoch_detail) != math.floor(updater.epoch_detail)

    updater.update = update
    return training.Trainer(updater, stop_trigger, extensions=[] if extensions is None else extensions)
