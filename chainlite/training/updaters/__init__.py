"""Updaters: what one iteration of training is."""

from chainlite.training.updaters.multiprocess_parallel_updater import MultiprocessParallelUpdater
from chainlite.training.updaters.parallel_updater import ParallelUpdater
from chainlite.training.updaters.standard_updater import StandardUpdater
