from chainlite.functions.connection.embed_id import embed_id
from chainlite.initializers import Normal, _get_initializer
from chainlite.link import Link
from chainlite.variable import Parameter, as_array


class EmbedID(Link):
    """Table of vectors, one for each integer ID.

    Args:
        in_size: Number of IDs.
        out_size: Size of the vectors.
        initialW: Initializer of the table; the standard normal distribution by default.
        ignore_label: ID that is mapped to zeros and learns nothing; None for no such ID.

    Attributes:
        W: The table, (in_size, out_size).
    """

    ignore_label = None

    def __init__(self, in_size, out_size, initialW=None, ignore_label=None):
        super().__init__()
        self.ignore_label = ignore_label
        with self.init_scope():
            self.W = Parameter(_get_initializer(initialW, Normal(1.0)), (in_size, out_size))

    @classmethod
    def from_params(cls, W, ignore_label=None):
        """Makes a link of a given table (in_size, out_size)."""
        return cls(*W.shape, as_array(W), ignore_label)

    def forward(self, x):
        """Looks up ``x``, (\\*s) of an integer dtype, giving (\\*s, out_size)."""
        return embed_id(x, self.W, self.ignore_label)
