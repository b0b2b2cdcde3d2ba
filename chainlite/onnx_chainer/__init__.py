"""Export of models as ONNX, with onnx_chainer's interface.

    import chainlite.onnx_chainer as onnx_chainer

    onnx_chainer.export_testcase(model, x, 'folder')         # model.onnx, and what to test a runtime with
    onnx_chainer.export(model, x, 'model.onnx', no_testcase=True)

A model is exported by running it: what its functions did becomes the graph. Opsets 9 to 21 are written; needs onnx
(``pip install chainlite[onnx]``). Functions of your own are exported by ``external_converters``, and what computes with
arrays by :mod:`replace_func`.
"""

from chainlite.onnx_chainer.export import MAXIMUM_OPSET_VERSION, MINIMUM_OPSET_VERSION, convert_parameter, export
from chainlite.onnx_chainer.export_testcase import export_testcase
