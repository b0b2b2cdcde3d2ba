from chainlite.training.triggers.interval_trigger import IntervalTrigger  # noqa: F401  (a name Chainer has here)
from chainlite.training.util import get_trigger  # noqa: F401
