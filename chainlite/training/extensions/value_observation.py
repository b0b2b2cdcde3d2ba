from chainlite.training.extension import PRIORITY_WRITER, make_extension


def observe_value(observation_key, target_func):
    """Returns an extension that reports the value of a function of the trainer, each epoch.

    Args:
        observation_key: Name of the value.
        target_func: The function.
    """

    @make_extension(trigger=(1, 'epoch'), priority=PRIORITY_WRITER)
    def _observe_value(trainer):
        trainer.observation[observation_key] = target_func(trainer)

    return _observe_value


def observe_lr(optimizer_name='main', observation_key='lr'):
    """Returns an extension that reports the learning rate, each epoch.

    Args:
        optimizer_name: Name of the optimizer in the updater.
        observation_key: Name of the value.
    """
    return observe_value(observation_key, lambda trainer: trainer.updater.get_optimizer(optimizer_name).lr)
