import json
import os
import warnings

import numpy

from chainlite.reporter import DictSummary
from chainlite.serializer import Serializer
from chainlite.training import util
from chainlite.training.extension import Extension
from chainlite.utils import argument
from chainlite.utils.atomic import replacing


def matplotlib_available():
    """Whether matplotlib can be imported; warns if not."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        warnings.warn('matplotlib is needed to plot figures, nothing will be plotted: pip install chainlite[plot]')
        return False
    return True


def save_figure(figure, path, **kwargs):
    """Saves a matplotlib figure, as one complete file, in the format that the name says."""
    extension = os.path.splitext(path)[1]
    with replacing(path) as temporary:
        figure.savefig(temporary, format=extension.lstrip('.') or 'png', **kwargs)


class PlotReport(Extension):
    """Draws curves of reported values, means over intervals, into an image file. Needs matplotlib.

    Args:
        y_keys: Names of the values, one curve each; a string for one.
        x_key: What they are drawn over: ``'iteration'``, ``'epoch'`` or a reported value.
        trigger: Trigger that ends an interval. The extension itself must be called in each iteration, as it is by
            default.
        postprocess: Function of the figure, the axes and the DictSummary of the interval, called before saving.
        filename: Name of the file in the trainer's ``out``, whose suffix is the format; ``plot.png`` if not given.
        marker: Matplotlib's marker at each point.
        grid: Whether there is a grid.
    """

    def __init__(
        self,
        y_keys,
        x_key='iteration',
        trigger=(1, 'epoch'),
        postprocess=None,
        filename=None,
        marker='x',
        grid=True,
        **kwargs,
    ):
        (file_name,) = argument.parse_kwargs(kwargs, ('file_name', 'plot.png'))
        self._x_key = x_key
        self._y_keys = [y_keys] if isinstance(y_keys, str) else y_keys
        self._trigger = util.get_trigger(trigger)
        self._file_name = file_name if filename is None else filename
        self._marker = marker
        self._grid = grid
        self._postprocess = postprocess
        self._summary = DictSummary()
        self._data = {key: [] for key in self._y_keys}

    @staticmethod
    def available():
        """Whether matplotlib is there; warns if not."""
        return matplotlib_available()

    def __call__(self, trainer):
        observation = trainer.observation
        keys = {*self._y_keys, self._x_key}
        self._summary.add({key: observation[key] for key in keys if key in observation})
        if not (trainer.is_before_training or self._trigger(trainer)):
            return
        stats = {name: float(value) for name, value in self._summary.compute_mean().items()}
        stats['epoch'] = trainer.updater.epoch
        stats['iteration'] = trainer.updater.iteration
        for key in self._y_keys:
            if key in stats:
                self._data[key].append((stats[self._x_key], stats[key]))
        summary, self._summary = self._summary, DictSummary()
        if self.available():
            self._plot(os.path.join(trainer.out, self._file_name), summary)

    def _plot(self, path, summary):
        # Without pyplot: that would choose a backend and keep the figure.
        from matplotlib.figure import Figure

        figure = Figure()
        axes = figure.add_subplot(111)
        axes.set_xlabel(self._x_key)
        if self._grid:
            axes.grid()
        for key in self._y_keys:
            if self._data[key]:
                x, y = numpy.array(self._data[key]).T
                axes.plot(x, y, marker=self._marker, label=key)
        if not axes.has_data():
            return
        if self._postprocess is not None:
            self._postprocess(figure, axes, summary)
        legend = axes.legend(bbox_to_anchor=(1.05, 1), loc=2, borderaxespad=0.0)
        save_figure(figure, path, bbox_extra_artists=(legend,), bbox_inches='tight')

    def serialize(self, serializer):
        """Saves or loads the points, and the sums of the current interval."""
        key = f'_plot_{self._file_name}'
        data = serializer(key, json.dumps(self._data))
        if not isinstance(serializer, Serializer):
            self._data.update(json.loads(data))
        # Chainer's files lack these.
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            if hasattr(self._trigger, 'serialize'):
                self._trigger.serialize(serializer['_trigger'])
            self._summary.serialize(serializer['_summary'])
