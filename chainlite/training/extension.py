"""What a trainer calls besides the updates."""

from chainlite.utils import argument

PRIORITY_WRITER = 300
PRIORITY_EDITOR = 200
PRIORITY_READER = 100


class Extension:
    """Base of extensions. Any function of a trainer is one as well; see :func:`make_extension`.

    Attributes:
        trigger: When it is called, if ``Trainer.extend`` is not told: a pair ``(period, 'epoch' or 'iteration')`` or a
            function of the trainer.
        priority: Those with a higher one are called first. Use ``PRIORITY_WRITER`` for one that reports values,
            ``PRIORITY_EDITOR`` for one that changes them, ``PRIORITY_READER`` for one that only reads.
        name: Name in the trainer; None for :attr:`default_name`.
    """

    trigger = 1, 'iteration'
    priority = PRIORITY_READER
    name = None

    @property
    def default_name(self):
        """Name of an extension that was given none: that of its class."""
        return type(self).__name__

    def __call__(self, trainer):
        """Does the work; called when the trigger fires."""
        raise NotImplementedError('Extension implementation must override __call__.')

    def __getattr__(self, name):
        if name == 'invoke_before_training':
            raise AttributeError(
                'invoke_before_training has been removed since Chainer v2.0.0. Use Extension.initialize instead.'
            )
        raise AttributeError(f'{type(self).__name__} object has no attribute {name}')

    def initialize(self, trainer):
        """Prepares for the training; called once when the trainer starts, after a snapshot has been loaded."""

    def on_error(self, trainer, exc, tb):
        """Called with the exception and its traceback when one ends the training."""

    def finalize(self):
        """Cleans up; called once when the training has ended, in whatever way."""

    def serialize(self, serializer):
        """Saves or loads the state."""


def make_extension(
    trigger=None, default_name=None, priority=None, finalizer=None, initializer=None, on_error=None, **kwargs
):
    """Decorator that gives the attributes of an :class:`Extension` to a function of a trainer.

    Args:
        trigger: When it is called; None for each iteration.
        default_name: Name in the trainer; None for the function's.
        priority: Those with a higher one are called first; None for ``PRIORITY_READER``.
        finalizer: Function without arguments, called when the training has ended.
        initializer: Function of the trainer, called when it starts.
        on_error: Function of the trainer, an exception and its traceback, called when that ends the training.
    """
    argument.check_unexpected_kwargs(
        kwargs,
        invoke_before_training='invoke_before_training has been removed since Chainer v2.0.0. '
        'Use initializer= instead.',
    )
    argument.assert_kwargs_empty(kwargs)

    def decorate(extension):
        extension.trigger = trigger or Extension.trigger
        extension.default_name = default_name or extension.__name__
        extension.priority = Extension.priority if priority is None else priority
        extension.finalize = finalizer
        extension.on_error = on_error
        extension.initialize = initializer
        return extension

    return decorate
