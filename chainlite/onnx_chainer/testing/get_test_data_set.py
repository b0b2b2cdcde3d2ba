"""Export into a folder for each opset and test."""

import os

from chainlite.onnx_chainer.export_testcase import export_testcase

TEST_OUT_DIR = 'out'


def gen_test_data_set(model, args, name, opset_version, **kwargs):
    """Runs :func:`export_testcase`; returns the folder, `out/opset<version>/<name>`."""
    path = os.path.join(TEST_OUT_DIR, f'opset{opset_version}', name)
    export_testcase(model, args, path, opset_version=opset_version, **kwargs)
    return path
