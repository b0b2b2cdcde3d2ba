"""Function hooks: callbacks around the forward and the backward pass of functions."""

import threading


class _Hooks(threading.local):
    """The hooks that this thread has entered, by name; None while there are none, which is what every function call
    looks at."""

    table = None


_hooks = _Hooks()


def get_function_hooks():
    """The hooks active in this thread, as a dictionary from name to hook in the order they were entered."""
    if _hooks.table is None:
        _hooks.table = {}
    return _hooks.table


class FunctionHook:
    """Base class of function hooks.

    Used as a context manager (`with hook:`) a hook sees every function called in the block;
    `function.add_hook(hook)` shows it one function.
    Override any of the methods below. `function` is the node, `in_data` the tuple of input arrays, `out_grad` the
    tuple of output gradients
    (arrays or None).
    """

    name = 'FunctionHook'

    def __enter__(self):
        hooks = get_function_hooks()
        if self.name in hooks:
            raise KeyError(f'hook {self.name} already exists')
        hooks[self.name] = self
        self.added(None)
        return self

    def __exit__(self, *_):
        hooks = get_function_hooks()
        hooks[self.name].deleted(None)
        del hooks[self.name]
        if not hooks:
            _hooks.table = None

    def added(self, function):
        """Called when the hook is entered (`function` is None) or added to a function."""

    def deleted(self, function):
        """Called when the hook is left (`function` is None) or deleted from a function."""

    def forward_preprocess(self, function, in_data):
        """Called before a forward pass."""

    def forward_postprocess(self, function, in_data):
        """Called after a forward pass."""

    def backward_preprocess(self, function, in_data, out_grad):
        """Called before a backward pass."""

    def backward_postprocess(self, function, in_data, out_grad):
        """Called after a backward pass."""
