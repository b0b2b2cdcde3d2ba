"""Comparison of exported outputs with what ONNX Runtime computes."""

import glob
import os

import numpy as np

from chainlite.onnx_chainer.onnx_helper import require_onnx

try:
    import onnxruntime

    ONNXRUNTIME_AVAILABLE = True
except ImportError:
    ONNXRUNTIME_AVAILABLE = False


def load_test_data(data_dir, input_names, output_names):
    """({name: array} of the inputs, the same of the outputs) of a folder that export_testcase wrote."""
    onnx = require_onnx()
    found = []
    for kind, names in ('input', input_names), ('output', output_names):
        tensors = [onnx.load_tensor(path) for path in glob.glob(os.path.join(data_dir, f'{kind}_*.pb'))]
        found.append({tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in tensors})
        missing = set(names) - set(found[-1])
        if len(names) == 1 == len(tensors):  # one whose name was not written
            found[-1] = {names[0]: next(iter(found[-1].values()))}
        elif missing:
            raise ValueError(f'{data_dir}: no tensors for {sorted(missing)}')
    return found


def check_model_expect(test_path, input_names=None, rtol=1e-5, atol=1e-5):
    """Runs `model.onnx` of a folder that export_testcase wrote, and compares the outputs with those in the folder."""
    if not ONNXRUNTIME_AVAILABLE:
        raise ImportError('ONNX Runtime is needed to test exported models: pip install onnxruntime')
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    path = os.path.join(test_path, 'model.onnx')
    session = onnxruntime.InferenceSession(path, options, providers=['CPUExecutionProvider'])
    output_names = [y.name for y in session.get_outputs()]
    input_names = [x.name for x in session.get_inputs()]
    folders = sorted(glob.glob(os.path.join(test_path, 'test_data_set_*')))
    assert folders, f'{test_path} holds no test data'
    for folder in folders:
        inputs, expected = load_test_data(folder, input_names, output_names)
        ys = session.run(output_names, {name: inputs[name] for name in input_names})
        for name, y in zip(output_names, ys):
            np.testing.assert_allclose(expected[name], y, rtol=rtol, atol=atol)
