"""Function hooks: callbacks around the forward and the backward pass of functions."""

import threading


class EnteredHooks(threading.local):
    """The hooks of one kind that this thread has entered, by name; None while there are none, which is what every call
    looks at."""

    table = None

    def get(self):
        """The dictionary, in the order in which they were entered."""
        if self.table is None:
            self.table = {}
        return self.table


class Hook:
    """What hooks of functions and of links share: as context managers they see every call in the block. Hooks of the
    same name exclude each other."""

    _entered: EnteredHooks  # all of the kind

    def __enter__(self):
        hooks = self._entered.get()
        if self.name in hooks:
            raise KeyError(f'hook {self.name} already exists')
        hooks[self.name] = self
        self.added(None)
        return self

    def __exit__(self, *_):
        hooks = self._entered.get()
        hooks.pop(self.name).deleted(None)
        if not hooks:
            self._entered.table = None


_hooks = EnteredHooks()


def get_function_hooks():
    """The hooks active in this thread, as a dictionary from name to hook in the order they were entered."""
    return _hooks.get()


class FunctionHook(Hook):
    """Base class of function hooks.

    Used as a context manager (`with hook:`) a hook sees every function called in the block;
    `function.add_hook(hook)` shows it one function. Override any of the methods below. `function` is the node,
    `in_data` the tuple of input arrays, `out_grad` the tuple of output gradients (arrays or None).
    """

    name = 'FunctionHook'
    _entered = _hooks

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
