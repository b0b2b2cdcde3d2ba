"""What the hooks that compute with another weight than the learned one share."""

from chainlite.link_hook import LinkHook


class WeightHook(LinkHook):
    """Replaces the weight of one link during its forward pass.

    The parameter is still what optimizers see: gradients flow back to it through :meth:`transform`.
    """

    def __init__(self, weight_name, name):
        self.weight_name = weight_name
        self._initialized = False
        if name is not None:
            self.name = name

    def __enter__(self):
        raise NotImplementedError('This hook is not supposed to be used as context manager.')

    def __exit__(self, *_):
        raise NotImplementedError

    def prepare(self, link):
        """Called once, when the weight has its shape."""

    def transform(self, link):
        """Returns the Variable to compute with."""
        raise NotImplementedError

    def added(self, link):
        if not hasattr(link, self.weight_name):
            raise ValueError(f"Weight '{self.weight_name}' does not exist!")
        if getattr(link, self.weight_name).is_initialized:
            self._prepare_once(link)

    def _prepare_once(self, link):
        if not self._initialized:
            self.prepare(link)
            self._initialized = True

    def forward_preprocess(self, cb_args):
        link = cb_args.link
        if not getattr(link, self.weight_name).is_initialized:
            link._initialize_params(link._input_size(*cb_args.args, **cb_args.kwargs))
        self._prepare_once(link)
        self.original_weight = getattr(link, self.weight_name)
        # Not an assignment: the link goes on knowing this name as a parameter.
        link.__dict__[self.weight_name] = self.transform(link)

    def forward_postprocess(self, cb_args):
        cb_args.link.__dict__[self.weight_name] = self.original_weight
