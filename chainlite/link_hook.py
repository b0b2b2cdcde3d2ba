"""Link hooks: callbacks around the forward pass of links."""

from chainlite._capturing import tables_of_hooks
from chainlite.function_hook import EnteredHooks, Hook

_hooks = EnteredHooks()
tables_of_hooks.append(_hooks)


def get_link_hooks():
    """Returns the hooks active in this thread, a dictionary from name to hook in the order they were entered."""
    return _hooks.get()


class _ForwardPreprocessCallbackArgs:
    """What a hook is told before a forward pass.

    Attributes:
        link: The link that is called.
        forward_name: Name of the method that computes, ``'forward'`` (or ``'__call__'``, of a class mixed in).
        args: Tuple of the positional arguments.
        kwargs: Dictionary of the keyword arguments.
    """

    def __init__(self, link, forward_name, args, kwargs):
        self.link = link
        self.forward_name = forward_name
        self.args = args
        self.kwargs = kwargs

    def __repr__(self):
        attributes = ' '.join(f'{name}={value}' for name, value in vars(self).items())
        return f'<{type(self).__module__}.{type(self).__name__} {attributes}>'


class _ForwardPostprocessCallbackArgs(_ForwardPreprocessCallbackArgs):
    """What a hook is told after a forward pass: the same, and ``out``, what it returned."""

    def __init__(self, link, forward_name, args, kwargs, out):
        super().__init__(link, forward_name, args, kwargs)
        self.out = out


class LinkHook(Hook):
    """Base class of link hooks.

    Used as a context manager (``with hook:``) a hook sees every link called in the block; ``link.add_hook(hook)`` shows
    it one link. Override any of the methods below.

    Attributes:
        name: Hooks of the same name exclude each other.
    """

    name = 'LinkHook'
    _entered = _hooks

    def added(self, link):
        """Called when the hook is entered (``link`` is None) or added to a link."""

    def deleted(self, link):
        """Called when the hook is left (``link`` is None) or deleted from a link."""

    def forward_preprocess(self, args):
        """Called before a forward pass, with ``args.link``, ``forward_name``, ``args`` and ``kwargs``."""

    def forward_postprocess(self, args):
        """Called after a forward pass, with the same and ``args.out``."""
