"""Every link draws, computes and differentiates as in Chainer 7.8.1."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest

import chainlite
import chainlite.links

sys.path.insert(0, str(Path(__file__).parent))
from chainer_links import CASES, FILE, link_values  # noqa: E402

STORED = {}
with np.load(FILE) as file:
    for key in file:
        name, what = key.split('|')
        STORED.setdefault(name, {})[what] = file[key]


# These draw from the device's random numbers.
RANDOM = (
    *('BlackOut', 'NegativeSampling', 'StatefulZoneoutLSTM'),
    *('SimplifiedDropconnect', 'SimplifiedDropconnect lazy'),
)


@pytest.mark.parametrize('name', CASES)
def test_links_do_as_chainers(device, name):
    values, expected = link_values(chainlite, name, device), STORED[name]
    assert sorted(values) == sorted(expected)
    for what, value in values.items():
        if what == 'text':
            if name == 'BatchNormalization plain':  # Chainer says that gamma and beta are used
                assert 'use_gamma=False, use_beta=False' in str(value)
                continue
            assert without_addresses(value) == without_addresses(expected[what])
            continue
        assert (value.shape, value.dtype) == (expected[what].shape, expected[what].dtype), what
        if name in RANDOM and device.xp is not np:
            continue
        exact = what.startswith(('value', 'next'))
        np.testing.assert_allclose(
            value, expected[what], rtol=1e-6 if exact else 1e-4, atol=1e-6 if exact else 1e-5, err_msg=what
        )


def without_addresses(text):
    return re.sub('0x[0-9a-f]+', '', str(text))
