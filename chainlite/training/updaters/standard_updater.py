import warnings

from chainlite import backend
from chainlite.dataset import convert
from chainlite.dataset.iterator import Iterator
from chainlite.device_resident import _ToDeviceVisitor
from chainlite.serializer import Serializer
from chainlite.training._updater import Updater
from chainlite.training.updaters._graphed_steps import GraphedSteps
from chainlite.utils import argument


class StandardUpdater(Updater):
    """One iteration: a batch of the iterator, converted to arrays, and an update of the optimizer with the loss of it.

    A subclass overrides :meth:`update_core` for several models or losses.

    Args:
        iterator: Iterator of the training data, or a dictionary of iterators with the one named ``main``.
        optimizer: Optimizer that is set up, or a dictionary of optimizers; ``main`` is the one that is updated.
        converter: Converter from a batch (list of examples) to arrays: a tuple or a dictionary of arguments of the
            loss, or its only argument.
        device: Device that the models are sent to; None leaves them where they are.
        loss_func: Function that returns the loss; None for the target of the main optimizer.
        loss_scale: Constant that the loss is multiplied by, against underflow of float16 gradients.
        auto_new_epoch: Whether to call the main optimizer's ``new_epoch`` when the main iterator completes one.
        input_device: Device that batches are sent to; without it, ``device``.
        graph: Whether to run steps as CUDA graphs: after a few ordinary steps, loss and gradients of a batch are
            captured and from then on launched as one piece, which costs the host nearly nothing. What the model
            computes must depend on the batch by its shapes alone, and not look at values (``float(loss)``). Each shape
            has a graph of its own; a model, an attribute of a link or a setting that changes is captured anew. Where
            it cannot be done, which one warning tells, steps run as usual; on the CPU they always do, and so does an
            :meth:`update_core` of a subclass.

    Attributes:
        converter, loss_func, iteration: The converter, the loss function and the number of iterations done.
    """

    def __init__(
        self,
        iterator,
        optimizer,
        converter=convert.concat_examples,
        device=None,
        loss_func=None,
        loss_scale=None,
        auto_new_epoch=True,
        **kwargs,
    ):
        input_device, graph = argument.parse_kwargs(kwargs, ('input_device', None), ('graph', False))
        device = _as_device(device)
        input_device = device if input_device is None else _as_device(input_device)
        self._iterators = {'main': iterator} if isinstance(iterator, Iterator) else iterator
        self._optimizers = optimizer if isinstance(optimizer, dict) else {'main': optimizer}
        self.converter = converter
        self.loss_func = loss_func
        self.iteration = 0
        self._device = device
        self._input_device = input_device
        self._graphed_steps = GraphedSteps(self._optimizers.get('main')) if graph else None
        self.loss_scale = loss_scale
        self.auto_new_epoch = auto_new_epoch
        if device is not None:
            for optimizer in self._optimizers.values():
                _send(optimizer.target, device)
        for optimizer in self._optimizers.values():
            if loss_scale is not None:
                optimizer.set_loss_scale(loss_scale)
        if auto_new_epoch:
            for optimizer in self._optimizers.values():
                optimizer.use_auto_new_epoch = True

    @property
    def device(self):
        """Device that the models were sent to, or None."""
        return self._device

    @property
    def input_device(self):
        """Device that batches are sent to, or None."""
        return self._input_device

    @property
    def epoch(self):
        """Number of completed epochs of the main iterator."""
        return self._iterators['main'].epoch

    @property
    def epoch_detail(self):
        """Number of epochs of the main iterator, with the fraction of the current one."""
        return self._iterators['main'].epoch_detail

    @property
    def previous_epoch_detail(self):
        """:attr:`epoch_detail` before the last iteration."""
        return self._iterators['main'].previous_epoch_detail

    @property
    def is_new_epoch(self):
        """Whether the last iteration completed an epoch."""
        return self._iterators['main'].is_new_epoch

    def finalize(self):
        """Finalizes the iterators."""
        for iterator in self._iterators.values():
            iterator.finalize()

    def get_optimizer(self, name):
        """Returns the optimizer of a name."""
        return self._optimizers[name]

    def get_all_optimizers(self):
        """Returns the dictionary from names to optimizers."""
        return dict(self._optimizers)

    def get_iterator(self, name):
        """Returns the iterator of a name."""
        return self._iterators[name]

    def update(self):
        """Does one iteration."""
        self.update_core()
        self.iteration += 1

    def update_core(self):
        """What an iteration does; for subclasses to override."""
        iterator = self._iterators['main']
        optimizer = self._optimizers['main']
        args, kwargs = convert._arguments(self.converter, iterator.next(), self.input_device)
        loss_func = self.loss_func or optimizer.target
        update = optimizer.update if self._graphed_steps is None else self._graphed_steps.update
        update(loss_func, *args, **kwargs)
        if self.auto_new_epoch and iterator.is_new_epoch:
            optimizer.new_epoch(auto=True)

    def serialize(self, serializer):
        """Saves or loads the iterators, the optimizers with their loss scales, the models and the iteration."""
        for name, iterator in self._iterators.items():
            iterator.serialize(serializer['iterator:' + name])
        for name, optimizer in self._optimizers.items():
            optimizer.serialize(serializer['optimizer:' + name])
            _serialize_loss_scale(serializer['optimizer:' + name], optimizer)
            optimizer.target.serialize(serializer['model:' + name])
        self.iteration = serializer('iteration', self.iteration)


def _as_device(device):
    return None if device is None else backend.get_device(device)


def _send(model, device):
    """Sends a model to a device. One that is on a GPU stays there if the device is another GPU, as in Chainer."""
    if not isinstance(device, backend.GpuDevice):
        model.to_device(device)
        return
    if any(isinstance(param.device, backend.GpuDevice) and param.device != device for param in model.params()):
        warnings.warn(
            'Transfer between @cupy devices was skipped: the model is on another GPU than the device argument. '
            'Send it there first, by model.to_device.',
            FutureWarning,
        )
    entry = 'to_gpu', {'device': device.device.id}
    model.device_resident_accept(
        _ToDeviceVisitor(device, entry, skip_between_cupy_devices=True, starting_device_resident=model)
    )


def _serialize_loss_scale(serializer, optimizer):
    """Saves or loads a dynamic loss scale, which Chainer's files do not have."""
    if not getattr(optimizer, '_loss_scaling_is_dynamic', False):
        return
    saving = isinstance(serializer, Serializer)
    for name in ('_loss_scale', '_loss_scaling_isnan_ever'):
        value = getattr(optimizer, name)
        try:
            setattr(optimizer, name, serializer('loss_scaling/' + name.lstrip('_'), value))
        except KeyError:
            if saving:
                raise
