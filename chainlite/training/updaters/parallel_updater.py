import copy

from chainlite.configuration import using_config
from chainlite.dataset import convert
from chainlite.training.updaters.standard_updater import StandardUpdater


class ParallelUpdater(StandardUpdater):
    """A StandardUpdater that divides each batch among copies of the model on several devices, in one process.

    Gradients are added up in the main model, whose parameters are then copied to the others. The loss should be a sum
    or weighted for it: gradients are not divided by the number of devices.

    Args:
        iterator, optimizer, converter, loss_func, loss_scale, auto_new_epoch: As for :class:`StandardUpdater`; a loss
            function is called for the copy that it is an attribute of only if it is None (the model itself).
        models: Dictionary of models by name, with one named ``main``; None copies the optimizer's target to
            ``devices``.
        devices: Dictionary of devices by name, with one named ``main``.

    Raises:
        ValueError, KeyError: if there are neither models nor devices, or none is named ``main``.
    """

    def __init__(
        self,
        iterator,
        optimizer,
        converter=convert.concat_examples,
        models=None,
        devices=None,
        loss_func=None,
        loss_scale=None,
        auto_new_epoch=True,
    ):
        super().__init__(
            iterator, optimizer, converter, loss_func=loss_func, loss_scale=loss_scale, auto_new_epoch=auto_new_epoch
        )
        if models is None:
            if devices is None:
                raise ValueError('either models or devices must be specified')
            if 'main' not in devices:
                raise KeyError("'devices' must contain a 'main' key.")
            main = self._optimizers['main'].target
            models = {name: main if name == 'main' else copy.deepcopy(main) for name in devices}
            for name, model in models.items():
                model.to_device(devices[name])
        self._devices = devices
        self._models = models

    def connect_trainer(self, trainer):
        """Registers the copies with the trainer's reporter."""
        for name, model in self._others().items():
            trainer.reporter.add_observer(name, model)

    def _others(self):
        main = self._optimizers['main'].target
        return {name: model for name, model in self._models.items() if model is not main}

    def update_core(self):
        optimizer = self._optimizers['main']
        main = optimizer.target
        iterator = self._iterators['main']
        batch = iterator.next()
        losses = []
        for i, (name, model) in enumerate(self._models.items()):
            model.cleargrads()
            part = batch[i :: len(self._models)]
            if part:
                losses.append(self._loss(name, model, part))
        for loss in losses:
            loss.backward(loss_scale=self.loss_scale)
        for model in self._others().values():
            main.addgrads(model)
        optimizer.update()
        for model in self._others().values():
            model.copyparams(main)
        if self.auto_new_epoch and iterator.is_new_epoch:
            optimizer.new_epoch(auto=True)

    def _loss(self, name, model, part):
        device = self._devices[name] if self._devices else None
        args, kwargs = convert._arguments(self.converter, part, device)
        loss_func = self.loss_func or model
        with using_config('enable_backprop', True):
            return loss_func(*args, **kwargs)
