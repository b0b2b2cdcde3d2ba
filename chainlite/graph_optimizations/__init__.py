"""Static graphs: forward passes that are captured once and then replayed."""

from chainlite.graph_optimizations.static_graph_utilities import static_code
