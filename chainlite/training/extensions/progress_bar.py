import sys

from chainlite.training.extension import Extension
from chainlite.training.extensions import util


class ProgressBar(Extension):
    """Shows how far the training is, on a terminal.

    Args:
        training_length: Pair of the length of the training and its unit, ``'epoch'`` or ``'iteration'``; None for that
            of the trainer's stop trigger.
        update_interval: Number of iterations between two updates.
        bar_length: Number of characters of a bar.
        out: Stream.
    """

    def __init__(self, training_length=None, update_interval=100, bar_length=50, out=sys.stdout):
        self._update_interval = update_interval
        self._pbar = _TrainerProgressBar(training_length, bar_length, out)

    def __call__(self, trainer):
        if trainer.updater.iteration % self._update_interval == 0:
            self._pbar.show(trainer)

    def finalize(self):
        self._pbar.close()


class _TrainerProgressBar(util.ProgressBar):
    def __init__(self, training_length, bar_length, out):
        super().__init__(bar_length, out)
        self._length = training_length
        self._trainer = None

    def show(self, trainer):
        self._trainer = trainer
        self.update()

    def get_lines(self):
        updater = self._trainer.updater
        if self._length is None:
            self._length = self._trainer.stop_trigger.get_training_length()
        length, unit = self._length
        iteration, epoch = updater.iteration, updater.epoch_detail
        done = iteration if unit == 'iteration' else epoch
        speeds = self.update_speed(iteration, epoch)
        speed = speeds[0] if unit == 'iteration' else speeds[1]
        return [
            self._bar('     total', min(done / length, 1)),
            self._bar('this epoch', epoch - int(epoch)),
            f'{iteration:10} iter, {updater.epoch} epoch / {length} {unit}s\n',
            util.speed_line(speeds[0], max(length - done, 0) / speed if speed else 0),
        ]
