import numpy as np
import pytest


@pytest.fixture
def on_device(device, request, monkeypatch):
    """Lets `xp` and the arrays that a test's module names be those of the device, for tables of calls; gives it."""
    for name, value in list(vars(request.module).items()):
        if value is np and name == 'xp':
            monkeypatch.setattr(request.module, name, device.xp)
        elif isinstance(value, np.ndarray):
            monkeypatch.setattr(request.module, name, device.send(value))
    return device
