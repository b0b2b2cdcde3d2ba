"""What a converter is called with."""


class FunctionConverterParams:
    """What a converter gets.

    Attributes:
        func: the FunctionNode.
        opset_version: int.
        input_names, output_names: lists of names in the ONNX graph.
        context: the Context, for constants and parameters.
    """

    def __init__(self, func=None, opset_version=None, input_names=None, output_names=None, context=None):
        self.func, self.opset_version, self.context = func, opset_version, context
        self.input_names, self.output_names = input_names, output_names


class FunctionConverter:
    """Calls a converter of five arguments with the attributes of a :class:`FunctionConverterParams`."""

    def __init__(self, converter):
        self.converter = converter

    def __call__(self, params):
        return self.converter(
            params.func, params.opset_version, params.input_names, params.output_names, params.context
        )
