"""Plots of how the values in variables are distributed, over the training."""

import os

import numpy

from chainlite import backend
from chainlite.training import util
from chainlite.training.extension import Extension
from chainlite.training.extensions.plot_report import matplotlib_available, save_figure
from chainlite.utils import argument
from chainlite.variable import Variable


class Reservoir:
    """A random sample, of limited size, of the arrays that are added, each with a number.

    Args:
        size: Number of arrays to keep.
        data_shape, dtype: Those of an array.
    """

    def __init__(self, size, data_shape, dtype=numpy.float32):
        self.size = size
        self._data = numpy.zeros((size, *data_shape), dtype)
        self._idxs = numpy.zeros(size, numpy.int32)
        self._counter = 0

    def add(self, x, idx=None):
        """Adds an array; ``idx`` is its number, None for how many came before."""
        place = self._counter
        if place >= self.size:  # each one so far stays with the same probability
            place = numpy.random.randint(self._counter + 1)
        if place < self.size:
            self._data[place] = x
            self._idxs[place] = self._counter if idx is None else idx
        self._counter += 1

    def get_data(self):
        """Returns the numbers, ascending, and the arrays."""
        n = min(self._counter, self.size)
        order = self._idxs[:n].argsort()
        return self._idxs[order], self._data[order]


class Statistician:
    """Computes mean, standard deviation and percentiles.

    Args:
        collect_mean, collect_std: Whether to compute these.
        percentile_sigmas: The percentiles: numbers from 0 to 100.
    """

    def __init__(self, collect_mean, collect_std, percentile_sigmas):
        self.collect_mean = collect_mean
        self.collect_std = collect_std
        self.percentile_sigmas = percentile_sigmas

    def __call__(self, x, axis=0, dtype=None, xp=None):
        """Returns the dictionary of statistics of an array over an axis, in ``dtype``."""
        if axis is None:
            axis = tuple(range(x.ndim))
        elif not isinstance(axis, (tuple, list)):
            axis = (axis,)
        return {
            key: numpy.asarray(backend.CpuDevice().send(value), dtype=dtype)
            for key, value in self.collect(x, axis).items()
        }

    def collect(self, x, axis):
        """Returns the dictionary of statistics of an array over a tuple of axes."""
        xp = backend.get_array_module(x)
        out = {}
        if self.collect_mean:
            out['mean'] = x.mean(axis=axis)
        if self.collect_std:
            out['std'] = x.std(axis=axis)
        if self.percentile_sigmas:
            out['percentile'] = xp.percentile(x, self.percentile_sigmas, axis=axis)
        return out


class VariableStatisticsPlot(Extension):
    """Draws mean, standard deviation and percentiles of all values in variables, and in their gradients, into an image
    file. Needs matplotlib.

    A random sample of the iterations is kept, which draws from NumPy's global generator.

    Args:
        targets: Variable, Link (its parameters), or a list of them.
        max_sample_size: Number of iterations to keep.
        report_data, report_grad: Whether to draw the values and the gradients.
        plot_mean, plot_std: Whether to draw these.
        percentile_sigmas: Percentiles to draw, numbers from 0 to 100; empty or None for none.
        trigger: When the file is written. The extension itself must be called in each iteration, as it is by default.
        filename: Name of the file in the trainer's ``out``; ``statistics.png`` if not given.
        figsize, marker, grid: Matplotlib's.
    """

    def __init__(
        self,
        targets,
        max_sample_size=1000,
        report_data=True,
        report_grad=True,
        plot_mean=True,
        plot_std=True,
        percentile_sigmas=(0, 0.13, 2.28, 15.87, 50, 84.13, 97.72, 99.87, 100),
        trigger=(1, 'epoch'),
        filename=None,
        figsize=None,
        marker=None,
        grid=True,
        **kwargs,
    ):
        (file_name,) = argument.parse_kwargs(kwargs, ('file_name', 'statistics.png'))
        self._vars = tuple(_variables(targets))
        if not self._vars:
            raise ValueError('no variables to plot are given')
        self._attrs = ['array'] * report_data + ['grad'] * report_grad
        self._titles = ['data'] * report_data + ['grad'] * report_grad
        percentiles = _as_tuple(percentile_sigmas)
        self._statistician = Statistician(plot_mean, plot_std, percentiles)
        self._plot_mean = plot_mean
        self._plot_std = plot_std
        self._percentiles = percentiles
        self._trigger = util.get_trigger(trigger)
        self._filename = file_name if filename is None else filename
        self._figsize = figsize
        self._marker = marker
        self._grid = grid
        self._samples = Reservoir(max_sample_size, (len(self._attrs), plot_mean + plot_std + len(percentiles)))

    @staticmethod
    def available():
        """Whether matplotlib is there; warns if not."""
        return matplotlib_available()

    def __call__(self, trainer):
        if not self.available():
            return
        rows = [self._statistics(attr) for attr in self._attrs]
        self._samples.add(numpy.stack(rows), idx=trainer.updater.iteration)
        if self._trigger(trainer):
            from matplotlib.figure import Figure

            self._draw(Figure(figsize=self._figsize), os.path.join(trainer.out, self._filename))

    def _statistics(self, attr):
        arrays = [getattr(var, attr) for var in self._vars]
        arrays = [backend.CpuDevice().send(array).ravel() for array in arrays if array is not None]
        if not arrays:
            return numpy.full(self._samples._data.shape[-1], numpy.nan, numpy.float32)
        statistics = self._statistician(numpy.concatenate(arrays))
        return numpy.hstack([statistics[key] for key in ('mean', 'std', 'percentile') if key in statistics])

    def save_plot_using_module(self, file_path, plt):
        """Draws with ``plt``, matplotlib's pyplot, and saves the figure."""
        self._draw(plt.figure(figsize=self._figsize), file_path)
        plt.close()

    def _draw(self, figure, path):
        names = ['mean'] * self._plot_mean + ['std'] * self._plot_std + ['percentile'] * bool(self._percentiles)
        if not names:
            return
        axes = figure.subplots(len(names), len(self._attrs), sharex=True, squeeze=False)
        iterations, samples = self._samples.get_data()
        for column, title in enumerate(self._titles):
            axes[0, column].set_title(title)
            values = samples[:, column]
            for row, name in enumerate(names):
                own = values[:, row:] if name == 'percentile' else values[:, row]
                axes[row, column].plot(iterations, own, marker=self._marker)
                axes[row, column].set_ylabel(name)
                axes[row, column].grid(self._grid)
            axes[-1, column].set_xlabel('iteration')
        save_figure(figure, path)


def _as_tuple(values):
    if values is None:
        return ()
    return tuple(values) if hasattr(values, '__iter__') else (values,)


def _variables(targets):
    """Yields the variables in a variable, a link, or a list of them."""
    if isinstance(targets, Variable):
        yield targets
    elif hasattr(targets, 'params'):
        yield from targets.params()
    else:
        for target in targets:
            yield from _variables(target)
