"""Elementwise functions, whose equations say what to export.

Most have an operator of their own in ONNX; the others become a few nodes, one for each step of the formula.
"""

import numpy as np

from chainlite._elementwise import Elementwise
from chainlite.onnx_chainer.onnx_helper import Builder, make_node

# Primitive of the equations -> operator.
_OPERATORS = {
    **{'neg': 'Neg', 'add': 'Add', 'sub': 'Sub', 'mul': 'Mul', 'div': 'Div', 'pow': 'Pow', 'abs': 'Abs', 'exp': 'Exp'},
    **{'log': 'Log', 'sqrt': 'Sqrt', 'sigmoid': 'Sigmoid', 'tanh': 'Tanh', 'sin': 'Sin', 'cos': 'Cos', 'tan': 'Tan'},
    **{'arcsin': 'Asin', 'arccos': 'Acos', 'arctan': 'Atan', 'arctanh': 'Atanh', 'sinh': 'Sinh', 'cosh': 'Cosh'},
    **{'floor': 'Floor', 'ceil': 'Ceil', 'sign': 'Sign', 'gt': 'Greater', 'equal': 'Equal', 'and': 'And', 'not': 'Not'},
    **{'isnan': 'IsNaN', 'where': 'Where', 'maximum': 'Max', 'minimum': 'Min'},
}
# Primitive without one -> what it is in others.
_FORMULAS = {
    'ge': lambda op, a, b: op('Not', op('Less', a, b)),
    'floordiv': lambda op, a, b: op('Floor', op('Div', a, b)),
    'rsqrt': lambda op, a: op('Reciprocal', op('Sqrt', a)),
    'expm1': lambda op, a: op('Sub', op('Exp', a), 1),
    'log1p': lambda op, a: op('Log', op('Add', a, 1)),
    'log2': lambda op, a: op('Mul', op('Log', a), 1 / np.log(2)),
    'log10': lambda op, a: op('Mul', op('Log', a), 1 / np.log(10)),
    'trunc': lambda op, a: op('Mul', op('Sign', a), op('Floor', op('Abs', a))),
}


def convert_elementwise(func, opset_version, input_names, output_names, context):
    """Any function that equations define (:class:`chainlite._elementwise.Elementwise`)."""
    equations = func.equations()
    dtype = np.result_type(*[x.dtype for x in func.inputs])
    builder = Builder(opset_version, context)
    known = dict(zip(equations.inputs, input_names))

    def op(name, *arguments):
        return builder.op(name, [a if isinstance(a, str) else constant(a) for a in arguments])

    def constant(value):
        return builder.const(value, f'value{len(context.constants)}', dtype)

    def name_of(e):
        if e not in known:
            known[e] = compute(e)
        return known[e]

    def compute(e):
        if e.op == 'name':
            return known[e.args[0]]
        if e.op in ('const', 'scalar'):
            return constant(e.args[0] if e.op == 'const' else getattr(func, e.args[0]))
        arguments = [name_of(a) for a in e.args]
        if e.op in _FORMULAS:
            return _FORMULAS[e.op](op, *arguments)
        if e.op not in _OPERATORS:
            raise ValueError(f'{func.label}: ONNX has no operator for {e.op}')
        return op(_OPERATORS[e.op], *arguments)

    for e, output in zip(equations.outputs.values(), output_names):
        builder.op_output_named('Identity', [name_of(e)], [output])
    return builder.nodes()


def is_elementwise(func):
    return isinstance(func, Elementwise)


def operator(name, **attributes):
    """A converter to one operator; an attribute may be a function of the FunctionNode."""

    def convert(func, opset_version, input_names, output_names, context):
        values = {key: value(func) if callable(value) else value for key, value in attributes.items()}
        return (make_node(name, input_names, output_names, **values),)

    return convert


def with_constant(name, constant_first=False):
    """A converter to an operator of the input and `func.value`."""

    def convert(func, opset_version, input_names, output_names, context):
        value = context.add_const(np.asarray(func.value, func.inputs[0].dtype), 'value')
        names = [value, *input_names] if constant_first else [*input_names, value]
        return (make_node(name, names, output_names),)

    return convert
