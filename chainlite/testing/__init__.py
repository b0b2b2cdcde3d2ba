"""What tests of functions, links and extensions are written with.

The classes :class:`FunctionTestCase` and :class:`LinkTestCase` check forward, backward and double backward computation
against a plain implementation in NumPy; :func:`parameterize` and :func:`inject_backend_tests` multiply a test class
over parameters and over devices.
"""

from chainlite.testing.array import assert_allclose
from chainlite.testing.backend import BackendConfig, inject_backend_tests
from chainlite.testing.distribution_test import distribution_unittest
from chainlite.testing.function_link import (
    FunctionTestCase,
    FunctionTestError,
    InitializerArgument,
    LinkInitializersTestCase,
    LinkTestCase,
    LinkTestError,
)
from chainlite.testing.helper import assert_warns, patch, with_requires, without_requires
from chainlite.testing.matrix import generate_matrix
from chainlite.testing.parameterized import (
    from_pytest_parameterize,
    parameterize,
    parameterize_pytest,
    product,
    product_dict,
)
from chainlite.testing.random import fix_random, generate_seed
from chainlite.testing.serializer import save_and_load, save_and_load_hdf5, save_and_load_npz
from chainlite.testing.training import get_trainer_with_mock_updater
from chainlite.testing.unary_math_function_test import unary_math_function_unittest


def run_module(name, file):
    """Runs the tests of a file with pytest if it is the program: ``run_module(__name__, __file__)`` at its end."""
    if name == '__main__':
        import pytest

        pytest.main([file, '-vvs', '-x', '--pdb'])
