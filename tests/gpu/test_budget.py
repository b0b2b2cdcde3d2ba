"""Budgets of a training step: how many launches it makes. Counted on the stand-in, whose driver only counts here."""

import cuda_on_cpu
import pytest
from gpu.steps import ResNet50Step


@pytest.fixture(scope='module')
def launches(cupy):
    """{part: {kernel: how often}} of a step of ResNet-50, batch 32, after the first two."""
    if not cuda_on_cpu.enabled():
        pytest.skip('launches are counted by the stand-in (CHAINLITE_CUDA_ON_CPU=1)')
    found = {}
    with cuda_on_cpu.null_driver():
        step = ResNet50Step()
        step()
        step()
        cuda_on_cpu.take_counts()
        for part in step.parts:
            part(step)
            found[part.__name__] = cuda_on_cpu.take_counts()
    for name, counts in found.items():
        print(f'{name}: {sum(counts.values())}')
        print('\n'.join([f'    {n:5} {kernel}' for kernel, n in sorted(counts.items(), key=lambda c: -c[1])]))
    return found


def test_step_of_resnet50_stays_below_500_launches(launches):
    assert sum([sum(counts.values()) for counts in launches.values()]) <= 500


def test_its_normalizations_are_two_launches_with_all_that_follows(launches):
    forward, backward = [launches[part] for part in ('forward', 'backward')]
    assert sum([n for kernel, n in forward.items() if 'batch_' in kernel or 'normalize' in kernel]) == 2 * 53
    assert sum([n for kernel, n in backward.items() if 'gradient_sums' in kernel or 'normalize' in kernel]) == 2 * 53
    assert not [kernel for kernel in [*forward, *backward] if 'ReLU' in kernel or 'Add' in kernel]


def test_its_update_is_one_launch(launches):
    assert list(launches['update'].values()) == [1]


def test_it_fills_no_gradients(launches):
    assert not [kernel for counts in launches.values() for kernel in counts if 'cupy_fill' in kernel]
