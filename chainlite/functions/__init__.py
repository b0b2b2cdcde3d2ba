"""Differentiable functions: `import chainlite.functions as F`."""
from chainlite.functions.activation.relu import relu  # noqa: F401
from chainlite.functions.array.broadcast import broadcast_to  # noqa: F401
from chainlite.functions.array.cast import cast  # noqa: F401
from chainlite.functions.array.get_item import get_item  # noqa: F401
from chainlite.functions.array.reshape import reshape  # noqa: F401
from chainlite.functions.array.transpose import transpose  # noqa: F401
from chainlite.functions.math.basic_math import absolute, add  # noqa: F401
from chainlite.functions.math.sum import sum, sum_to  # noqa: F401
