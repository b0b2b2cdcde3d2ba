"""condition, matrix, helper, serializer, training, unary_math_function_unittest, distribution_unittest."""

import os
import pathlib
import subprocess
import sys
import unittest
import warnings

import numpy as np
import pytest

import chainlite
import chainlite.functions as F
from chainlite import testing
from chainlite.testing import condition, doctest_helper

here = sys.modules[__name__]
of_python = pytest.mark.host('there are no arrays in it')


# -- condition ---------------------------------------------------------------------------------------------------------


class Trial:
    """A test that passes where the outcomes say so."""

    def __init__(self, outcomes):
        self.outcomes, self.n = outcomes, 0

    def test(self):
        self.n += 1
        assert self.outcomes[self.n - 1], f'trial {self.n}'


@of_python
@pytest.mark.parametrize(
    'decorator, outcomes, passes, trials',
    [
        (condition.retry(3), [0, 0, 1], True, 3),
        (condition.retry(3), [1, 0, 0], True, 1),
        (condition.retry(3), [0, 0, 0], False, 3),
        (condition.repeat(3), [1, 1, 1], True, 3),
        (condition.repeat(3), [1, 0, 1], False, 2),
        (condition.repeat_with_success_at_least(4, 2), [0, 1, 0, 1], True, 4),
        (condition.repeat_with_success_at_least(4, 2), [0, 1, 0, 0], False, 4),
    ],
)
def test_trials(decorator, outcomes, passes, trials):
    trial = Trial(outcomes)
    if passes:
        decorator(Trial.test)(trial)
    else:
        with pytest.raises(AssertionError, match=r'The first error message:\nTraceback[\s\S]*trial'):
            decorator(Trial.test)(trial)
    assert trial.n == trials


@of_python
def test_skip_ends_the_trials():
    def skip(self):
        raise unittest.SkipTest('reason')

    with pytest.raises(unittest.SkipTest, match='reason'):
        condition.repeat(3)(skip)(None)


@of_python
def test_more_successes_than_trials_are_refused():
    with pytest.raises(AssertionError):
        condition.repeat_with_success_at_least(1, 2)


@of_python
def test_quiet_runner():
    class Case(unittest.TestCase):
        def test_fails(self):
            self.fail()

    result = condition.QuietTestRunner().run(unittest.defaultTestLoader.loadTestsFromTestCase(Case))
    assert len(result.failures) == 1


# -- matrices ----------------------------------------------------------------------------------------------------------


@pytest.mark.host('makes matrices of NumPy')
@pytest.mark.parametrize('dtype', ['f', 'd', 'F', 'D'])
@pytest.mark.parametrize('shape', [(3, 3), (2, 4), (4, 2), (5, 2, 3)])
def test_matrix_has_the_singular_values(shape, dtype):
    values = np.random.RandomState(0).rand(min(shape[-2:]))
    a = testing.generate_matrix(shape, dtype, singular_values=values)
    assert a.shape == shape
    assert a.dtype == dtype
    s = np.linalg.svd(a, compute_uv=False)
    np.testing.assert_allclose(s, np.broadcast_to(np.sort(values)[::-1], s.shape), rtol=1e-4)


@pytest.mark.host('makes matrices of NumPy')
@pytest.mark.parametrize(
    'args, kwargs, error, match',
    [
        (((2, 2),), {}, TypeError, 'singular_values is not given'),
        (((2,),), {'singular_values': 1}, ValueError, r'shape \(2,\) is invalid for matrices'),
        (((2, 2), int), {'singular_values': 1}, TypeError, 'dtype int64 is not supported'),
        (((2, 2),), {'singular_values': 1j}, TypeError, 'singular_values is not real'),
        (((2, 2),), {'singular_values': -1}, ValueError, 'negative singular value'),
        (((2, 2),), {'singular_values': [1, 2, 3]}, ValueError, 'broadcast'),
        (((2, 2),), {'values': 1}, TypeError, "unexpected keyword argument.*'values'"),
    ],
)
def test_bad_matrices_are_refused(args, kwargs, error, match):
    with pytest.raises(error, match=match):
        testing.generate_matrix(*args, **kwargs)


# -- requirements, warnings, patches -----------------------------------------------------------------------------------


@of_python
@pytest.mark.parametrize(
    'requirements, satisfied',
    [(['numpy'], True), (['numpy>=1.20'], True), (['numpy>=99'], False), (['numpy', 'no-such-package'], False)],
)
def test_requirements(requirements, satisfied):
    def run(decorator):
        try:
            return decorator(lambda: True)()
        except unittest.SkipTest as e:
            assert str(e) == f'requires: {",".join(requirements)}'
            return False

    assert run(testing.with_requires(*requirements)) is satisfied
    assert run(testing.without_requires(*requirements)) is not satisfied
    assert doctest_helper.skipif_requires_satisfied(*requirements) is satisfied


@of_python
def test_assert_warns():
    with testing.assert_warns(UserWarning):
        warnings.warn('text')
    with pytest.raises(AssertionError, match='UserWarning not triggerred'):
        with testing.assert_warns(UserWarning):
            warnings.warn('text', DeprecationWarning)


def test_patch_calls_through(xp):
    with testing.patch('chainlite.functions.relu') as relu:
        y = F.relu(xp.array([-1.0, 1]))
        relu.assert_called_once()
    assert y.array.tolist() == [0, 1]
    with pytest.raises(AttributeError):
        testing.patch('chainlite.functions.nothing')
    with pytest.raises(ImportError):
        testing.patch('no_such_package.name')


@of_python
def test_run_module_runs_the_file_only_as_the_program(tmp_path):
    testing.run_module('module', 'no such file')
    (tmp_path / 'test_it.py').write_text(
        'from chainlite import testing\ndef test_it(): pass\ntesting.run_module(__name__, __file__)\n'
    )
    environment = {**os.environ, 'PYTHONPATH': str(pathlib.Path(chainlite.__file__).parents[1])}
    command = [sys.executable, tmp_path / 'test_it.py']
    out = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment).stdout
    assert '1 passed' in out


# -- serializers, trainers ---------------------------------------------------------------------------------------------


@pytest.mark.host('writes and reads files')
@pytest.mark.parametrize('save_and_load', [testing.save_and_load_npz, testing.save_and_load_hdf5])
def test_save_and_load(save_and_load):
    class Counter:
        def __init__(self, value):
            self.value = value

        def serialize(self, serializer):
            self.value = serializer('value', self.value)

    loaded = Counter(0)
    save_and_load(Counter(3), loaded)
    assert loaded.value == 3


@of_python
@pytest.mark.parametrize('iter_per_epoch', [0.5, 1, 1.5, 10])
def test_mock_updater_counts(iter_per_epoch):
    seen = []

    def look(trainer):
        u = trainer.updater
        seen.append((u.iteration, u.epoch, u.epoch_detail, u.previous_epoch_detail, u.is_new_epoch))

    trainer = testing.get_trainer_with_mock_updater((6, 'iteration'), iter_per_epoch, [look])
    trainer.run()
    expected = [
        (
            i,
            i // iter_per_epoch,
            i / iter_per_epoch,
            (i - 1) / iter_per_epoch,
            i // iter_per_epoch != (i - 1) // iter_per_epoch,
        )
        for i in range(1, 7)
    ]
    assert seen == expected


# -- unary functions ---------------------------------------------------------------------------------------------------


def cases_of(decorator, name):
    """The generated classes of a decorated class, taken out of the module."""
    decorator(type(name, (unittest.TestCase,), {'__module__': __name__}))
    names = [n for n in vars(here) if n.startswith(f'{name}_param')]
    return [vars(here).pop(n) for n in names]


@pytest.fixture
def run(xp):
    """Runs the tests of a class that are for the CPU, or those that are for the GPU."""

    def run(klass):
        result = unittest.TestResult()
        for test in unittest.defaultTestLoader.loadTestsFromTestCase(klass):
            if test._testMethodName.endswith('_cpu' if xp is np else '_gpu'):
                test.run(result)
        return result

    return run


def test_unary_function_passes(run):
    classes = cases_of(testing.unary_math_function_unittest(F.sin), 'Sine')
    assert len(classes) == 6
    for klass in classes:
        result = run(klass)
        assert result.wasSuccessful(), (result.errors, result.failures)
        assert result.testsRun == 3


def test_wrong_unary_function_fails(run):
    def sin(x):
        return F.sin(x) + 0.1

    for klass in cases_of(testing.unary_math_function_unittest(sin), 'WrongSine'):
        assert len(run(klass).failures) == 1


def test_unary_function_that_numpy_lacks_needs_the_expected_one(run):
    def twice(x):
        return x * 2

    with pytest.raises(ValueError, match="NumPy has no functions corresponding to Chainer function 'twice'"):
        testing.unary_math_function_unittest(twice)
    decorator = testing.unary_math_function_unittest(twice, func_expected=lambda x, dtype: np.asarray(x * 2, dtype))
    for klass in cases_of(decorator, 'Twice'):
        assert run(klass).wasSuccessful()


# -- distributions -----------------------------------------------------------------------------------------------------


class Normal:
    """A normal distribution, correct but for what is said to be wrong."""

    wrong = ''

    def __init__(self, loc, scale):
        self.loc, self.scale = (a.array if isinstance(a, chainlite.Variable) else a for a in (loc, scale))
        self.batch_shape, self.event_shape, self.support = self.loc.shape, (), 'real'
        self._xp = chainlite.backend.get_array_module(self.loc)

    def _value(self, name, x):
        return chainlite.Variable(self._xp.asarray(x * (1.1 if name == self.wrong else 1)))

    mean = property(lambda self: self._value('mean', self.loc))
    variance = property(lambda self: self._value('variance', self.scale**2))

    def log_prob(self, x):
        z = (x - self.loc) / self.scale
        return self._value('log_prob', -z * z / 2 - self._xp.log(self.scale * np.sqrt(2 * np.pi)))

    def sample(self, sample_shape):
        z = self._xp.asarray(np.random.randn(*sample_shape, *self.loc.shape))
        return self._value('sample', self.loc + self.scale * z)


TARGETS = {'batch_shape', 'event_shape', 'support', 'mean', 'variance', 'log_prob', 'sample'}


@pytest.mark.parametrize('onebyone', [False, True])
@pytest.mark.parametrize('wrong', ['', 'mean', 'variance', 'log_prob', 'sample'])
def test_distribution_case_finds_what_is_wrong(run, xp, wrong, onebyone):
    from scipy import stats

    class Case(testing.distribution_unittest):
        shape, sample_shape, is_variable, scipy_onebyone = (2, 3), (3,), True, onebyone

        def setUp_configure(self):
            np.random.seed(0)
            self.dist, self.scipy_dist = type('N', (Normal,), {'wrong': wrong}), stats.norm
            self.test_targets = TARGETS
            self.params = {'loc': np.random.rand(2, 3), 'scale': np.random.rand(2, 3) + 0.5}
            self.scipy_params = self.params

        def sample_for_test(self):
            return np.random.randn(3, 2, 3)

    result, on = run(Case), 'cpu' if xp is np else 'gpu'
    assert not result.errors
    assert [t._testMethodName for t, _ in result.failures] == ([f'test_{wrong}_{on}'] if wrong else [])
    assert len(result.skipped) == 15 - len(TARGETS)
