"""Hooks that measure and print functions."""

import io
import re

import numpy as np
import pytest

import chainlite
import chainlite.functions as F
from chainlite import function_hooks


def test_the_timer_records_forward_and_backward(xp):
    x = chainlite.Variable(xp.ones((2, 3), np.float32))
    with function_hooks.TimerHook() as hook:
        y = F.sum(F.exp(x))
        y.backward()
    names = [name for name, _ in hook.call_history]
    assert names[:2] == ['Exp', 'Sum'] and names[-1] == 'Exp'
    assert all(hook.summary()[name]['occurrence'] == 2 for name in ('Exp', 'Sum'))
    assert all(seconds > 0 for _, seconds in hook.call_history)


def test_the_timer_counts_inner_calls_once(xp):
    hook, f = function_hooks.TimerHook(), F.exp(chainlite.Variable(xp.ones(1))).creator_node
    x = (xp.ones(1),)
    hook.backward_preprocess(f, x, x)
    hook.forward_preprocess(f, x)
    hook.forward_postprocess(f, x)
    hook.backward_postprocess(f, x, x)
    (_, inner), (_, outer) = hook.call_history
    assert inner < outer and hook.total_time() == outer


@pytest.mark.host('adds and prints numbers of the host')
def test_the_timer_prints_a_table():
    hook = function_hooks.TimerHook()
    hook.call_history = [('Exp', 2.5)]
    file = io.StringIO()
    hook.print_report(file=file)
    assert file.getvalue() == 'FunctionName  ElapsedTime  Occurrence\n         Exp      2.50sec           1\n'


def test_print_hook_shows_inputs_and_gradients(xp):
    file = io.StringIO()
    with function_hooks.PrintHook(file=file):
        x = chainlite.Variable(xp.ones((2, 2), np.float32))
        y = F.relu(x)
        y.grad = xp.ones((2, 2), np.float32)
        y.backward()
    place, kind = ('CPU', 'numpy.ndarray') if xp is np else (r'<CUDA Device 0>', r'cupy.ndarray')
    table = (
        rf'<variable at 0x[0-9a-f]+>\n- device: {place}\n- backend: <class \'{kind}\'>\n- shape: \(2, 2\)\n'
        '- dtype: float32\n- statistics: mean={}.00000000, std=0.00000000\n- grad: {}\n'
    )
    assert re.match(
        r'function\tReLU\ninput data\n'
        + table.format(1, None)
        + r'function\tReLU\ninput data\n\(removed\)\noutput gradient\n'
        + table.format(0, 'mean=1.00000000, std=0.00000000'),
        file.getvalue(),
    )


@pytest.mark.host('there is no GPU')
@pytest.mark.skipif(chainlite.backends.cuda.available, reason='this machine has CUDA')
@pytest.mark.parametrize('hook', [function_hooks.CUDAProfileHook, function_hooks.CupyMemoryProfileHook])
def test_hooks_for_cuda_say_that_it_is_missing(hook):
    with pytest.raises(RuntimeError, match='CUDA environment is not correctly set up'):
        hook()


@pytest.fixture
def memory_hook():
    """The hook as it is after some calls, without the device."""
    hook = object.__new__(function_hooks.CupyMemoryProfileHook)
    hook.call_history = [('A', 512, 1024, 0), ('A', 100, 0, 1), ('Bee', 3 << 20, 1 << 30, 0), ('C', -5, 0, 0)]
    return hook


@pytest.mark.host('adds and prints numbers of the host')
def test_memory_is_added_up_by_name(memory_hook):
    assert memory_hook.summary()['A'] == {'used_bytes': 612, 'acquired_bytes': 1024, 'occurrence': 2}


# Printed by Chainer 7.8.1 for the same history.
MEMORY_TABLES = {
    'auto': """\
FunctionName  UsedBytes  AcquiredBytes  Occurrence
           A     0.00MB         0.00GB           2
         Bee     3.00MB         1.00GB           1
           C    -0.00MB         0.00GB           1
""",
    'auto_foreach': """\
FunctionName  UsedBytes  AcquiredBytes  Occurrence
           A    612.00B         1.00KB           2
         Bee     3.00MB         1.00GB           1
           C     -5.00B          0.00B           1
""",
    'KB': """\
FunctionName  UsedBytes  AcquiredBytes  Occurrence
           A     0.60KB         1.00KB           2
         Bee  3072.00KB   1048576.00KB           1
           C    -0.00KB         0.00KB           1
""",
}


@pytest.mark.host('adds and prints numbers of the host')
@pytest.mark.parametrize('unit', MEMORY_TABLES)
def test_memory_is_printed_as_a_table(memory_hook, unit):
    file = io.StringIO()
    memory_hook.print_report(unit, file)
    assert file.getvalue() == MEMORY_TABLES[unit]


@pytest.mark.host('adds and prints numbers of the host')
@pytest.mark.parametrize('size, unit', [(-1, 'B'), (1023, 'B'), (1024, 'KB'), (1 << 70, 'ZB'), (1 << 80, 'ZB')])
def test_units_fit_sizes(memory_hook, size, unit):
    scale, chosen = memory_hook._choose_unit(size)
    assert chosen == unit and (size < scale * 1024 or unit == 'ZB')
