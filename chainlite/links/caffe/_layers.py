"""The types of Caffe's layers, by name.

For each there is a function that makes, of its description, a link (or a link and the options of its call) or a
function of Variables. What they compute is written down in https://caffe.berkeleyvision.org/tutorial/layers.html.
"""

from chainlite.links.caffe import _pointwise, _spatial  # noqa: F401  (they fill the table)
from chainlite.links.caffe._registry import SETUPS, SILENT, ChildCall, type_of  # noqa: F401
