"""Test case of a distribution: each method against SciPy's."""

import unittest

import numpy

from chainlite.backends import cuda
from chainlite.testing import attr
from chainlite.testing.array import assert_allclose
from chainlite.variable import Variable

_TARGETS = (
    *('batch_shape', 'cdf', 'entropy', 'event_shape', 'icdf', 'log_cdf', 'log_prob', 'log_survival', 'mean', 'prob'),
    *('sample', 'stddev', 'support', 'survival', 'variance'),
)
_SAMPLES = 100000


class distribution_unittest(unittest.TestCase):
    """Base of the test cases of distributions.

    A subclass has the method ``setUp_configure()``, which sets these attributes, and ``sample_for_test()``, which
    returns samples of shape ``sample_shape + shape + event_shape``:

    Attributes:
        dist (callable): The distribution, called with ``params`` and ``options``.
        scipy_dist: SciPy's distribution, whose methods are called with ``scipy_params``.
        params, scipy_params (dict): Arrays by name.
        options (dict): Further arguments of ``dist``.
        test_targets (set of str): What is tested: ``'mean'``, ``'log_prob'``, ``'sample'`` ...
        shape, event_shape, sample_shape (tuple of int): The shapes of batch, event and samples.
        support (str): The expected support.
        continuous (bool): Whether it has a density.
        is_variable (bool): Whether the parameters are given as Variables.
        scipy_onebyone (bool): Whether SciPy's methods take the parameters of one distribution only.
    """

    scipy_onebyone = False
    is_variable = False

    def setUp(self):
        self.support = 'real'
        self.event_shape = getattr(self, 'event_shape', ())
        self.continuous = True
        self.test_targets = set()
        self.options = {}
        self.setUp_configure()
        unknown = self.test_targets.difference(_TARGETS)
        if unknown:
            raise ValueError(f'invalid target(s): {unknown}')
        if self.is_variable:
            self.params = {k: Variable(v) for k, v in self.params.items()}

    def scipy_onebyone_params_iter(self):
        """Goes through the parameters of the single distributions, dictionaries of scalars or event-shaped arrays."""
        for index in numpy.ndindex(self.shape):
            yield {k: v[index] for k, v in self.scipy_params.items()}

    @property
    def cpu_dist(self):
        """The distribution on the CPU."""
        return self.dist(**self.params, **self.options)

    @property
    def gpu_dist(self):
        """The distribution on the GPU."""
        params = {
            k: Variable(cuda.to_gpu(v.array)) if self.is_variable else cuda.to_gpu(v) for k, v in self.params.items()
        }
        return self.dist(**params, **self.options)

    def _dist(self, is_gpu):
        return self.gpu_dist if is_gpu else self.cpu_dist

    def _check_value(self, actual, method):
        """Compares a value without argument: mean, entropy ..."""
        if self.scipy_onebyone:
            values = [getattr(self.scipy_dist, method)(**one) for one in self.scipy_onebyone_params_iter()]
            expected = numpy.asarray(values).reshape(actual.shape)
        else:
            expected = numpy.asarray(getattr(self.scipy_dist, method)(**self.scipy_params))
        assert_allclose(actual.array, expected)

    def _check_function(self, is_gpu, name, method, points=None):
        """Compares a function of samples: log_prob, cdf ..."""
        points = self.sample_for_test() if points is None else points
        actual = getattr(self._dist(is_gpu), name)(cuda.to_gpu(points) if is_gpu else points).array
        function = getattr(self.scipy_dist, method)
        if not self.scipy_onebyone:
            assert_allclose(actual, function(points, **self.scipy_params))
            return
        expected = numpy.empty(self.sample_shape + self.shape)
        samples = (slice(None),) * len(self.sample_shape)
        for index, one in zip(numpy.ndindex(self.shape), self.scipy_onebyone_params_iter()):
            expected[samples + index] = function(points[samples + index], **one)
        assert_allclose(actual, expected)

    def _density(self):
        return 'pdf' if self.continuous else 'pmf'

    def check_cdf(self, is_gpu):
        self._check_function(is_gpu, 'cdf', 'cdf')

    def check_icdf(self, is_gpu):
        points = numpy.random.uniform(1e-5, 1 - 1e-5, self.sample_shape + self.shape).astype(numpy.float32)
        self._check_function(is_gpu, 'icdf', 'ppf', points)

    def check_log_cdf(self, is_gpu):
        self._check_function(is_gpu, 'log_cdf', 'logcdf')

    def check_log_prob(self, is_gpu):
        self._check_function(is_gpu, 'log_prob', 'log' + self._density())

    def check_log_survival(self, is_gpu):
        self._check_function(is_gpu, 'log_survival_function', 'logsf')

    def check_prob(self, is_gpu):
        self._check_function(is_gpu, 'prob', self._density())

    def check_survival(self, is_gpu):
        self._check_function(is_gpu, 'survival_function', 'sf')

    def check_entropy(self, is_gpu):
        self._check_value(self._dist(is_gpu).entropy, 'entropy')

    def check_mean(self, is_gpu):
        self._check_value(self._dist(is_gpu).mean, 'mean')

    def check_stddev(self, is_gpu):
        self._check_value(self._dist(is_gpu).stddev, 'std')

    def check_variance(self, is_gpu):
        self._check_value(self._dist(is_gpu).variance, 'var')

    def check_sample(self, is_gpu):
        actual = cuda.to_cpu(self._dist(is_gpu).sample(sample_shape=(_SAMPLES, *self.sample_shape)).array)
        size = (_SAMPLES, *self.sample_shape)
        if self.scipy_onebyone:
            drawn = [self.scipy_dist.rvs(size=size, **one) for one in self.scipy_onebyone_params_iter()]
            expected = numpy.stack(drawn, axis=len(size)).reshape(actual.shape)
        else:
            expected = self.scipy_dist.rvs(size=size + self.shape, **self.scipy_params)
        assert_allclose(actual.mean(axis=0), expected.mean(axis=0), atol=3e-2, rtol=3e-2)
        assert_allclose(actual.std(axis=0), expected.std(axis=0), atol=3e-2, rtol=3e-2)

    def check_batch_shape(self, is_gpu):
        self.assertEqual(self._dist(is_gpu).batch_shape, self.shape)

    def check_event_shape(self, is_gpu):
        self.assertEqual(self._dist(is_gpu).event_shape, self.event_shape)

    def check_support(self, is_gpu):
        self.assertEqual(self._dist(is_gpu).support, self.support)


def _test(target, is_gpu):
    def test(self):
        if target not in self.test_targets:
            self.skipTest(f"'{target}' is not in test_targets")
        getattr(self, f'check_{target}')(is_gpu)

    test.__name__ = f'test_{target}_{"gpu" if is_gpu else "cpu"}'
    return attr.gpu(test) if is_gpu and attr.is_available() else test


for _target in _TARGETS:
    for _is_gpu in (False, True):
        _method = _test(_target, _is_gpu)
        setattr(distribution_unittest, _method.__name__, _method)
