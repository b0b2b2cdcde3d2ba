import math

import numpy

from chainlite import backend, reporter
from chainlite.training import util
from chainlite.training.extension import PRIORITY_WRITER, Extension


def _percentile(x):
    return backend.get_array_module(x).percentile(x, (0.13, 2.28, 15.87, 50, 84.13, 97.72, 99.87))


class ParameterStatistics(Extension):
    """Reports statistics of the parameters of links and of their gradients, as means over intervals.

    The names are like ``l1/W/data/mean``.

    Args:
        links: Link or list of links. One that has no name counts as ``None``.
        statistics: Dictionary from names to functions of a flat array that return a scalar or an array; None for none,
            ``'default'`` for :attr:`default_statistics`.
        report_params, report_grads: Whether to report on parameters and on gradients.
        prefix: What all names begin with.
        trigger: Trigger that ends an interval. The extension itself must be called in each iteration, as it is by
            default.
        skip_nan_params: Whether all statistics of an array that has a NaN are NaN, without calling the functions.
    """

    default_name = 'parameter_statistics'
    priority = PRIORITY_WRITER
    report_key_template = '{prefix}{link_name}{param_name}/{attr_name}/{function_name}'
    default_statistics = {
        'mean': lambda x: x.mean(),
        'std': lambda x: x.std(),
        'min': lambda x: x.min(),
        'max': lambda x: x.max(),
        'zeros': lambda x: (x == 0).sum(),
        # Of a normal distribution, minus and plus three, two, one standard deviations, and the mean.
        'percentile': _percentile,
    }

    def __init__(
        self,
        links,
        statistics='default',
        report_params=True,
        report_grads=True,
        prefix=None,
        trigger=(1, 'epoch'),
        skip_nan_params=False,
    ):
        self._links = tuple(links) if isinstance(links, (list, tuple)) else (links,)
        if statistics == 'default':
            statistics = self.default_statistics
        self._statistics = dict(statistics or {})
        self._attrs = ['array'] * report_params + ['grad'] * report_grads
        self._prefix = prefix
        self._trigger = util.get_trigger(trigger)
        self._summary = reporter.DictSummary()
        self._skip_nan_params = skip_nan_params

    def __call__(self, trainer):
        for link in self._links:
            for path, param in link.namedparams():
                for attr in self._attrs:
                    self._summary.add(self._compute(link, path, param, attr))
        if self._trigger(trainer):
            reporter.report(self._summary.compute_mean())
            self._summary = reporter.DictSummary()

    def _compute(self, link, path, param, attr):
        x = getattr(param, attr)
        if x is None:  # not initialized, or not computed
            return {}
        x = x.ravel()
        values = {}
        with backend.using_device(param.device):
            skipped = self._skip_nan_params and bool(backend.get_array_module(x).isnan(x).any())
            for name, function in self._statistics.items():
                key = self.report_key_template.format(
                    prefix=f'{self._prefix}/' if self._prefix else '',
                    link_name=link.name,
                    param_name=path,
                    attr_name='data' if attr == 'array' else attr,
                    function_name=name,
                )
                value = math.nan if skipped else function(x)
                if numpy.ndim(value) == 0:
                    values[key] = float(value)
                else:
                    values.update((f'{key}/{i}', float(v)) for i, v in enumerate(value))
        return values

    def register_statistics(self, name, function):
        """Adds a statistic, or replaces the one of that name."""
        self._statistics[name] = function
