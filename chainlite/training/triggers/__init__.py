"""Triggers: functions of a trainer that say when to act."""

from chainlite.training.triggers.early_stopping_trigger import EarlyStoppingTrigger
from chainlite.training.triggers.interval_trigger import IntervalTrigger
from chainlite.training.triggers.manual_schedule_trigger import ManualScheduleTrigger
from chainlite.training.triggers.minmax_value_trigger import BestValueTrigger, MaxValueTrigger, MinValueTrigger
from chainlite.training.triggers.once_trigger import OnceTrigger
from chainlite.training.triggers.time_trigger import TimeTrigger
