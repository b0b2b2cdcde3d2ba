"""parameterize, inject_backend_tests, fix_random: the classes they make, and what those say."""

import sys
import unittest

import numpy as np
import pytest

from chainlite import testing
from chainlite.testing import parameterized

pytestmark = pytest.mark.host('makes and names classes; test_function_link.py runs cases on the devices of a config')
here = sys.modules[__name__]
CPU = (
    'use_chainerx_false__chainerx_device_None__use_cuda_false__cuda_device_None__use_cudnn_never__'
    'cudnn_deterministic_false__autotune_false__cudnn_fast_batch_normalization_false__use_ideep_never'
)


def taken(prefix):
    """The generated classes, taken out of the module so that pytest does not run them."""
    names = [name for name in vars(here) if name.startswith(prefix)]
    return {name: vars(here).pop(name) for name in names}


def outcome(klass):
    """The result of the tests of a class."""
    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(klass).run(result)
    return result


@testing.parameterize({'a': 1, 'dtype': np.float32}, {'a': 2, 'dtype': np.float64})
class Failing(unittest.TestCase):
    def test_it(self):
        assert self.a == 3, self.dtype(self.a)

    def test_skip(self):
        raise unittest.SkipTest('reason')


@testing.parameterize({'b': 3}, {'b': 4})
@testing.parameterize({'a': 1}, {'a': 2})
class Twice(unittest.TestCase):
    def test_it(self):
        assert (self.a, self.b) in ((1, 3), (1, 4), (2, 3), (2, 4))


@testing.parameterize({'a': 1})
@testing.inject_backend_tests(['test_device'], [{}, {'autotune': True}])
class Devices(unittest.TestCase):
    def test_device(self, backend_config):
        assert isinstance(backend_config, testing.BackendConfig)
        assert backend_config.xp is np

    def test_other(self):
        pass


@testing.inject_backend_tests(None, [{}])
@testing.inject_backend_tests(None, [{'autotune': True}])
class TwoDevices(unittest.TestCase):
    def test_it(self, inner, outer):
        assert (inner.autotune, outer.autotune) == (True, False)


drawn = []


@testing.parameterize({'a': 1}, {'a': 2})
@testing.fix_random()
class Fixed(unittest.TestCase):
    def setUp(self):
        drawn.append(np.random.rand())

    def test_it(self):
        drawn.append(testing.generate_seed())


@testing.fix_random()
class FixedAlone(unittest.TestCase):
    def test_it(self):
        assert testing.generate_seed() == 2333906440


def f(x):
    return x + 1


@testing.parameterize({'function': f}, {'function': len}, {'function': lambda x: x}, {'function': np.add})
class Callables(unittest.TestCase):
    def test_it(self):
        assert not hasattr(self.function, '__self__') or self.function is len


classes = {
    name: taken(name)
    for name in ('Failing_', 'Twice_', 'Devices_', 'TwoDevices_', 'Fixed_', 'FixedAlone', 'Callables_')
}


def test_classes_are_named_by_their_parameters():
    assert list(classes['Failing_']) == ['Failing_param_0_{a=1, dtype=float32}', 'Failing_param_1_{a=2, dtype=float64}']
    assert sorted(classes['Twice_']) == [
        f'Twice_param_{i}_{{a={i + 1}}}_param_{j}_{{b={j + 3}}}' for i in (0, 1) for j in (0, 1)
    ]
    assert list(classes['Callables_'])[0] == 'Callables_param_0_{function=f}'
    assert parameterized._make_class_name('X', 0, {'s': 'x' * 200}) == f"X_param_0_{{s='{'x' * 47}...{'x' * 48}'}}"


def test_the_class_itself_is_not_collected():
    assert not isinstance(Failing, type)


def test_failure_names_the_parameters():
    klass = classes['Failing_']['Failing_param_0_{a=1, dtype=float32}']
    result = outcome(klass)
    assert len(result.skipped) == 1
    ((_, text),) = result.failures
    assert "Base test method: Failing.test_it\nTest parameters:\n  a: 1\n  dtype: <class 'numpy.float32'>\n" in text
    assert str(klass('test_it')).endswith("parameter: {'a': 1, 'dtype': <class 'numpy.float32'>}")


@pytest.mark.parametrize('name', ['Twice_', 'Devices_', 'TwoDevices_', 'Fixed_', 'FixedAlone', 'Callables_'])
def test_generated_tests_pass(name):
    for klass in classes[name].values():
        result = outcome(klass)
        assert result.wasSuccessful(), (result.errors, result.failures)
        assert result.testsRun >= 1


def test_only_the_given_tests_are_multiplied_over_devices():
    tests = {
        name: [t for t in dir(klass) if t.startswith('test_') and getattr(klass, t)]
        for name, klass in classes['Devices_'].items()
    }
    assert tests == {
        'Devices_param_0_{a=1}': ['test_other'],
        f'Devices_{CPU}_param_0_{{a=1}}': ['test_device'],
        f'Devices_{CPU.replace("autotune_false", "autotune_true")}_param_0_{{a=1}}': ['test_device'],
    }


def test_random_numbers_are_those_of_every_run():
    state = np.random.get_state()[1]
    for klass in classes['Fixed_'].values():
        drawn.clear()
        outcome(klass)
        assert drawn == [0.5434049417909654, 1195587395]  # those of Chainer 7.8.1
    np.testing.assert_array_equal(np.random.get_state()[1], state)
    with pytest.raises(AssertionError, match='random is not set up'):
        testing.generate_seed()


def test_backend_config():
    config = testing.BackendConfig({'use_cudnn': 'always', 'autotune': True})
    assert config.get_func_str() == CPU.replace('cudnn_never', 'cudnn_always').replace(
        'autotune_false', 'autotune_true'
    )
    assert repr(config).startswith('<BackendConfig use_chainerx=False chainerx_device=None use_cuda=False')
    from chainlite import config as settings

    with config:
        assert settings.use_cudnn == 'always'
        assert settings.autotune
    assert settings.use_cudnn == 'auto'
    x = np.ones(3)
    assert config.get_array(x) is x
    assert config.get_array(None) is None
    with pytest.raises(ValueError, match='Parameter foo is not defined'):
        testing.BackendConfig({'foo': 1})
    with pytest.raises(TypeError, match='method_names must be either None or a list'):
        testing.inject_backend_tests('test_it', [{}])


def test_marks_of_devices():
    def names(**params):
        def test():
            pass

        for mark in testing.BackendConfig(params).get_pytest_marks():
            test = mark(test)
        return sorted(mark.name for mark in getattr(test, 'pytestmark', []))

    assert names() == []
    assert names(use_cuda=True) == ['gpu']
    assert names(use_cuda=True, cuda_device=1, use_cudnn='always') == ['cudnn', 'gpu', 'multi_gpu']
    assert names(use_ideep='always') == ['ideep']
    assert names(use_chainerx=True, chainerx_device='cuda:0') == ['chainerx', 'gpu']


def test_products():
    assert testing.product({'b': [3], 'a': [1, 2]}) == [{'a': 1, 'b': 3}, {'a': 2, 'b': 3}]
    assert testing.product({'a,b': [(1, 2), (3, 4)], 'c': [5]}) == [{'a': 1, 'b': 2, 'c': 5}, {'a': 3, 'b': 4, 'c': 5}]
    assert testing.product([[{'a': 1}], [{'b': 1}, {'b': 2}]]) == [{'a': 1, 'b': 1}, {'a': 1, 'b': 2}]
    assert testing.product_dict() == [{}]
    assert testing.from_pytest_parameterize('a, b', [(1, 2)]) == [{'a': 1, 'b': 2}]
    with pytest.raises(AssertionError, match='2 names'):
        testing.from_pytest_parameterize('a,b', [(1, 2, 3)])


def test_pairwise_product_has_every_pair():
    lists = [[{key: i} for i in range(3)] for key in 'abcd']
    chosen = parameterized._pairwise_product_dict(*lists)
    assert len(chosen) < 81 / 4
    for k, m in ('ab', 'ac', 'ad', 'bc', 'bd', 'cd'):
        assert len({(c[k], c[m]) for c in chosen}) == 9
