from chainlite.backend import using_device
from chainlite.training.extension import Extension


class FailOnNonNumber(Extension):
    """Ends the training by a RuntimeError when a parameter is infinite or NaN."""

    def __call__(self, trainer):
        for name, optimizer in trainer.updater.get_all_optimizers().items():
            for param in optimizer.target.params():
                if param.array is None:
                    continue
                with using_device(param.device):
                    if not param.device.xp.isfinite(param.array).all():
                        raise RuntimeError(f"Kill the process since parameters in optimizer '{name}' diverge. R.I.P.")
