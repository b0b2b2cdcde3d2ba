from chainlite.training.triggers.interval_trigger import IntervalTrigger


def get_trigger(trigger):
    """Returns a trigger: a function of the trainer that says whether to act now.

    Args:
        trigger: A trigger itself; a pair ``(period, 'epoch' or 'iteration')``, for an IntervalTrigger; or None, for one
            that never fires.
    """
    if trigger is None:
        return _never_fire_trigger
    if callable(trigger):
        return trigger
    if not isinstance(trigger, (tuple, list)):
        raise TypeError(
            f"a trigger is a function of the trainer or a pair (period, 'epoch' or 'iteration'), not {trigger!r}"
        )
    return IntervalTrigger(*trigger)


def _never_fire_trigger(trainer):
    return False
