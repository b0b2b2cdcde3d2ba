"""What tells an optimizer that a model is as it was.

To look at every link and every update rule takes longer than to update small parameters. So optimizers keep from one
update to the next what they found out, and whoever changes the parameters or children of a link, or a rule in anything
but the values of its states, notes it here.
"""


class Changes:
    """Changes anywhere in the process.

    Attributes:
        mark: Another object after each change.
    """

    def __init__(self):
        self.note()

    def note(self):
        """Says that something has changed."""
        self.mark = object()


changes = Changes()
