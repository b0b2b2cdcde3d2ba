from chainlite.configuration import config
from chainlite.training.extension import Extension
from chainlite.variable import Variable


class unchain_variables(Extension):
    """Frees the graphs behind reported variables after the other extensions.

    A last resort for when some extension had ``config.keep_graph_on_report`` set and does not free the graph itself.
    It acts in an iteration if the flag was set after the one before.
    """

    priority = 0

    def __init__(self):
        self._prev_flag = None

    def initialize(self, _):
        self._prev_flag = config.keep_graph_on_report

    def trigger(self, _):
        """Returns whether graphs were kept in this iteration."""
        return self._prev_flag

    def __call__(self, trainer):
        for value in trainer.observation.values():
            if isinstance(value, Variable):
                value.unchain_backward()
        self._prev_flag = config.keep_graph_on_report
