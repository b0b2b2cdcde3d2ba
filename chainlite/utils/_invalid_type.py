"""The error that type checks raise."""


class InvalidType(Exception):
    """An input does not have the dtype or shape that a function needs.

    Args:
        expect: the condition, as text.
        actual: what came instead, as text.
        msg: the whole message; made from the other two if None.
        function: the function node that the message names, or its label.
    """

    def __init__(self, expect, actual, msg=None, *, function=None):
        if msg is None:
            msg = f'Expect: {expect}\nActual: {actual}'
            if function is not None:
                label = function if isinstance(function, str) else function.label
                msg = f'\nInvalid operation is performed in: {label} (Forward)\n\n{msg}'
        super().__init__(msg)
        self.expect = expect
        self.actual = actual

    def __reduce__(self):
        return type(self), (self.expect, self.actual, self.args[0])
