"""Drawing the graph behind a result, in Graphviz's DOT language."""

from chainlite.function_node import FunctionNode
from chainlite.variable import Variable, VariableNode

_VARIABLE_STYLE = {'shape': 'octagon', 'fillcolor': '#E0E0E0', 'style': 'filled'}
_FUNCTION_STYLE = {'shape': 'record', 'fillcolor': '#6495ED', 'style': 'filled'}
_RANKDIRS = ('TB', 'BT', 'LR', 'RL')


class DotNode:
    """A node of a graph as DOT draws it.

    Args:
        node: VariableNode or FunctionNode.
        attribute: Dictionary of DOT attributes, over the defaults.
        show_name: Whether the label of a variable starts with its name.
    """

    def __init__(self, node, attribute=None, show_name=True):
        self.node = node
        self.id_ = id(node)
        is_variable = isinstance(node, VariableNode)
        label = node.label
        if is_variable and show_name and node.name is not None:
            label = f'{node.name}: {label}'
        self.attribute = {'label': label, 'shape': 'oval' if is_variable else 'box', **(attribute or {})}

    @property
    def label(self):
        """The node as a statement of DOT."""
        attributes = ','.join(f'{key}="{_escape(value)}"' for key, value in self.attribute.items())
        return f'{self.id_} [{attributes}];'


def _escape(value):
    return str(value).replace('"', r'\"')


class ComputationalGraph:
    """The functions and variables behind some results, and which feeds which.

    Attributes:
        nodes: List of VariableNodes and FunctionNodes.
        edges: List of pairs of nodes, in the direction of the computation.
    """

    def __init__(
        self,
        nodes,
        edges,
        variable_style='default',
        function_style='default',
        rankdir='TB',
        remove_variable=False,
        show_name=True,
    ):
        if rankdir not in _RANKDIRS:
            raise ValueError('rankdir must be in TB, BT, LR or RL.')
        self.nodes = nodes
        self.edges = edges
        self.variable_style = _VARIABLE_STYLE if variable_style == 'default' else variable_style
        self.function_style = _FUNCTION_STYLE if function_style == 'default' else function_style
        self.rankdir = rankdir
        self.remove_variable = remove_variable
        self.show_name = show_name

    def dump(self, format='dot'):
        """Returns the graph as a string; ``'dot'`` is the only format."""
        if format != 'dot':
            raise NotImplementedError('Currently, only dot format is supported.')
        nodes, edges = self.nodes, self.edges
        if self.remove_variable:
            creators = {target: source for source, target in edges if isinstance(target, VariableNode)}
            nodes = [node for node in nodes if isinstance(node, FunctionNode)]
            edges = dict.fromkeys((creators[source], target) for source, target in edges if source in creators)
        styles = {True: self.variable_style, False: self.function_style}
        statements = [f'rankdir={self.rankdir};']
        statements += [DotNode(node, styles[isinstance(node, VariableNode)], self.show_name).label for node in nodes]
        statements += [f'{id(source)} -> {id(target)};' for source, target in edges]
        return f'digraph graphname{{{"".join(statements)}}}'


def build_computational_graph(
    outputs,
    remove_split=True,
    variable_style='default',
    function_style='default',
    rankdir='TB',
    remove_variable=False,
    show_name=True,
):
    """Collects the graph that computed ``outputs``.

    Args:
        outputs: A Variable, VariableNode or FunctionNode, or a sequence of them.
        remove_split: Must be True; kept for old programs.
        variable_style: Dictionary of DOT attributes of every variable.
        function_style: Dictionary of DOT attributes of every function.
        rankdir: Direction of the drawing: ``'TB'`` (from top to bottom), ``'BT'``, ``'LR'`` or ``'RL'``.
        remove_variable: Whether to draw functions only.
        show_name: Whether to write the names of variables that have one.

    Returns:
        A :class:`ComputationalGraph`; its ``dump()`` is what the ``dot`` command reads.
    """
    if not remove_split:
        raise ValueError('remove_split=False is not supported anymore')
    if isinstance(outputs, (Variable, VariableNode, FunctionNode)):
        outputs = [outputs]
    pending = []
    for output in outputs:
        node = output.node if isinstance(output, Variable) else output
        if not isinstance(node, (VariableNode, FunctionNode)):
            raise TypeError('element of outputs must be either Variable, VariableNode,  or FunctionNode.')
        pending.append(node)

    nodes, edges = {}, {}  # dictionaries keep the order, which makes the text reproducible
    while pending:
        node = pending.pop()
        if node in nodes:
            continue
        nodes[node] = None
        if isinstance(node, VariableNode):
            sources = [] if node.creator_node is None else [node.creator_node]
        else:
            sources = node.inputs
        edges.update(((source, node), None) for source in sources)
        pending.extend(sources)
    return ComputationalGraph(
        list(nodes), list(edges), variable_style, function_style, rankdir, remove_variable, show_name
    )
