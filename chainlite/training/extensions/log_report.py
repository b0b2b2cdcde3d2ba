import json
import os
import warnings

from chainlite.reporter import DictSummary
from chainlite.serializer import Serializer
from chainlite.training import util
from chainlite.training.extension import Extension
from chainlite.utils import argument
from chainlite.utils.atomic import replacing


class LogReport(Extension):
    """Writes the means of reported values over intervals into a JSON file: a list of dictionaries.

    Each has also ``epoch``, ``iteration`` and ``elapsed_time`` (seconds).

    Args:
        keys: Names of the values; None for all.
        trigger: Trigger that ends an interval. The extension itself must be called in each iteration, as it is by
            default.
        postprocess: Function of the dictionary of means, which may change it before it is logged.
        filename: Name of the file in the trainer's ``out``; ``{epoch}`` and the like stand for values. ``log`` if it
            is not given.
    """

    def __init__(self, keys=None, trigger=(1, 'epoch'), postprocess=None, filename=None, **kwargs):
        self._keys = keys
        self._trigger = util.get_trigger(trigger)
        self._postprocess = postprocess
        self._log = []
        (log_name,) = argument.parse_kwargs(kwargs, ('log_name', 'log'))
        self._log_name = log_name if filename is None else filename
        self._summary = DictSummary()

    @property
    def log(self):
        """List of the dictionaries so far."""
        return self._log

    def __call__(self, trainer):
        observation = trainer.observation
        if self._keys is not None:
            observation = {key: observation[key] for key in self._keys if key in observation}
        self._summary.add(observation)
        if not (trainer.is_before_training or self._trigger(trainer)):
            return
        stats = {name: float(value) for name, value in self._summary.compute_mean().items()}
        stats['epoch'] = trainer.updater.epoch
        stats['iteration'] = trainer.updater.iteration
        stats['elapsed_time'] = trainer.elapsed_time
        if self._postprocess is not None:
            self._postprocess(stats)
        self._log.append(stats)
        self._summary = DictSummary()
        if self._log_name is not None:
            with replacing(os.path.join(trainer.out, self._log_name.format(**stats))) as path:
                with open(path, 'w') as f:
                    json.dump(self._log, f, indent=4)

    def serialize(self, serializer):
        """Saves or loads the log and the sums of the current interval."""
        if hasattr(self._trigger, 'serialize'):
            self._trigger.serialize(serializer['_trigger'])
        try:
            self._summary.serialize(serializer['_summary'])
        except Exception:
            if isinstance(serializer, Serializer):
                raise
            warnings.warn('The statistics are not saved.')
        log = serializer('_log', json.dumps(self._log))
        if not isinstance(serializer, Serializer):
            self._log = json.loads(log)
