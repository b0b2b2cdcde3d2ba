from chainlite.training._updater import Updater  # noqa: F401  (names Chainer has here)
from chainlite.training.updaters.parallel_updater import ParallelUpdater  # noqa: F401
from chainlite.training.updaters.standard_updater import StandardUpdater  # noqa: F401
