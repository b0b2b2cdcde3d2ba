import os
import subprocess

from chainlite import computational_graph
from chainlite.configuration import config
from chainlite.training.extension import Extension
from chainlite.utils import argument
from chainlite.utils.atomic import replacing
from chainlite.variable import Variable

_variable_style = {'shape': 'octagon', 'fillcolor': '#E0E0E0', 'style': 'filled'}
_function_style = {'shape': 'record', 'fillcolor': '#6495ED', 'style': 'filled'}


def is_return_code_zero(args):
    """Returns whether a command, a list of strings, can be run and succeeds."""
    try:
        return subprocess.call(args, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0
    except OSError:
        return False


def is_graphviz_available():
    """Returns whether Graphviz's ``dot`` can be run."""
    return is_return_code_zero(['dot', '-V'])


class DumpGraph(Extension):
    """Writes the graph behind a reported variable in the first iteration: a ``.dot`` file, and a picture if Graphviz
    is there.

    Args:
        root_name: Name of the reported variable, such as ``'main/loss'``.
        filename: Name of the file in the trainer's ``out``; ``cg.dot`` if not given.
        variable_style, function_style: Dictionaries of Graphviz's attributes for the two kinds of node.
    """

    default_name = 'dump_graph'

    def __init__(self, root_name, filename=None, variable_style=None, function_style=None, **kwargs):
        (out_name,) = argument.parse_kwargs(kwargs, ('out_name', 'cg.dot'))
        self._root_name = root_name
        self._filename = out_name if filename is None else filename
        self._variable_style = variable_style or _variable_style
        self._function_style = function_style or _function_style
        self._original_flag = None
        self._keeps_graphs = False
        self._flag_called = False

    def initialize(self, trainer):
        if not self._flag_called:
            self._original_flag = config.keep_graph_on_report
            config.keep_graph_on_report = self._keeps_graphs = True

    def trigger(self, trainer):
        """Returns True the first time."""
        if self._flag_called:
            return False
        self._flag_called = True
        return True

    def __call__(self, trainer):
        try:
            root = trainer.observation[self._root_name]
            if not isinstance(root, Variable):
                raise TypeError('root value is not a Variable')
            graph = computational_graph.build_computational_graph(
                [root], variable_style=self._variable_style, function_style=self._function_style
            ).dump()
        finally:
            self._restore()
        path = os.path.join(trainer.out, self._filename)
        with replacing(path) as temporary, open(temporary, 'w') as f:
            f.write(graph)
        if is_graphviz_available():
            is_return_code_zero(['dot', '-Tpng', path, '-o', os.path.splitext(path)[0] + '.png'])

    def _restore(self):
        if self._keeps_graphs:
            config.keep_graph_on_report = self._original_flag
            self._keeps_graphs = False

    def finalize(self):
        self._restore()

    def serialize(self, serializer):
        """Saves or loads whether the graph has been written."""
        flag = serializer('_original_flag', self._original_flag)
        self._original_flag = None if flag is None else bool(flag)
        self._flag_called = serializer('_flag_called', self._flag_called)
