"""Converters that changed with the opset."""

import functools


def support(opset_versions):
    """Decorator: calls the converter with the latest of `opset_versions` that is not after the wanted one.

    Args:
        opset_versions: ascending ints, the opsets in which the operator changed.

    Raises:
        RuntimeError: when called for an opset before the first.
    """

    def decorate(converter):
        @functools.wraps(converter)
        def convert(func, opset_version, input_names, output_names, context):
            known = [version for version in opset_versions if version <= opset_version]
            if not known:
                raise RuntimeError(
                    f'{type(func).__name__} needs opset {opset_versions[0]} or later. Actual: {opset_version}'
                )
            return converter(func, known[-1], input_names, output_names, context)

        return convert

    return decorate
