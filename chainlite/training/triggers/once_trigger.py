from chainlite.serializer import Serializer
from chainlite.training.triggers._previous import load_or


class OnceTrigger:
    """Fires at its first call, and no more.

    Args:
        call_on_resume: Whether it also fires at its first call after loading.
    """

    def __init__(self, call_on_resume=False):
        self._flag_first = True
        self._flag_resumed = call_on_resume

    @property
    def finished(self):
        """Whether it will not fire."""
        return not (self._flag_first or self._resumed)

    _resumed = False  # whether to fire because of loading

    def __call__(self, trainer):
        fires = not self.finished
        self._flag_first = self._resumed = False
        return fires

    def serialize(self, serializer):
        """Saves or loads whether it has fired."""
        self._flag_first = load_or(
            serializer,
            '_flag_first',
            self._flag_first,
            False,
            'The flag is not saved.OnceTrigger guess it is not first when resumed. '
            'If this trigger is resumed before first called, it may not work correctly.',
        )
        if not isinstance(serializer, Serializer):
            self._resumed = self._flag_resumed
