"""Training loops: a trainer runs an updater until a trigger says stop, and calls extensions at theirs."""

from chainlite.training import extensions, triggers, updaters, util
from chainlite.training._updater import Updater
from chainlite.training.extension import Extension, PRIORITY_EDITOR, PRIORITY_READER, PRIORITY_WRITER, make_extension
from chainlite.training.trainer import Trainer
from chainlite.training.trigger import IntervalTrigger, get_trigger
from chainlite.training.updaters.parallel_updater import ParallelUpdater
from chainlite.training.updaters.standard_updater import StandardUpdater
