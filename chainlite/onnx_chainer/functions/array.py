"""Converters of functions that move elements."""

import warnings

import numpy as np

from chainlite.onnx_chainer.functions.elementwise import operator
from chainlite.onnx_chainer.functions.opset_version import support as support
from chainlite.onnx_chainer.onnx_helper import Builder, building, make_node, tensor_type

convert_Concat = operator('Concat', axis=lambda func: int(func.axis))
convert_Copy = operator('Identity')
convert_Depth2Space = operator('DepthToSpace', blocksize=lambda func: int(func.r))
convert_Shape = operator('Shape')
convert_Space2Depth = operator('SpaceToDepth', blocksize=lambda func: int(func.r))


def convert_Cast(func, opset_version, input_names, output_names, context):
    return (make_node('Cast', input_names, output_names, to=tensor_type(func.typ)),)


@building
def convert_Reshape(func, builder, x, shape=None):
    """The first axis is left as it is found where it stays the same: the exported graph then takes other batches."""
    if shape is not None:  # it is an input, see replace_func
        builder.op('Reshape', [x, shape])
        return
    shape, old = list(func.shape), func.inputs[0].shape
    if shape and old and shape[0] == old[0] != 0:
        shape[0] = 0
    builder.reshape(x, shape)


@building
def convert_ExpandDims(func, builder, x):
    axis = func.axis % (len(func.inputs[0].shape) + 1)
    return builder.unsqueeze(x, [axis])


@building
def convert_Squeeze(func, builder, x):
    shape = func.inputs[0].shape
    axes = [i for i, n in enumerate(shape) if n == 1]
    if func.axis is not None:
        axes = [a % len(shape) for a in np.ravel(func.axis).tolist()]
    return builder.squeeze(x, axes)


def _transpose(axes_of):
    def convert(func, opset_version, input_names, output_names, context):
        perm = [int(axis) for axis in axes_of(func, list(range(len(func.inputs[0].shape))))]
        return (make_node('Transpose', input_names, output_names, perm=perm),)

    return convert


def _swapped(func, axes):
    axes[func.axis1], axes[func.axis2] = axes[func.axis2], axes[func.axis1]
    return axes


def _permuted(func, axes):
    return axes[::-1] if not func.axes else [axes[a] for a in func.axes]


convert_Transpose = convert_Moveaxis = convert_Rollaxis = _transpose(_permuted)
convert_Swapaxes = _transpose(_swapped)


@building
def convert_Pad(func, builder, x):
    shape, dtype = func.inputs[0].shape, func.inputs[0].dtype
    value = func.keywords.get('constant_values', 0)
    if func.mode not in ('constant', 'reflect', 'edge') or np.ndim(value):
        raise ValueError(f'{func.label}: mode={func.mode!r} with {func.keywords} cannot be exported')
    if not shape:  # there is no side to pad
        return x
    before, after = np.broadcast_to(func.pad_width, (len(shape), 2)).T.tolist()
    return builder.pad(x, before, after, func.mode, value, dtype)


@building
def convert_Tile(func, builder, x):
    shape, reps = func.inputs[0].shape, np.ravel(func.reps).tolist()
    if len(reps) > len(shape):
        x = builder.unsqueeze(x, list(range(len(reps) - len(shape))))
    builder.op('Tile', [x, builder.ints([1] * (len(shape) - len(reps)) + reps, 'reps')])


@building
def convert_Repeat(func, builder, x):
    axis, shape = func.axis, func.inputs[0].shape
    if axis is None:
        x, axis, shape = builder.reshape(x, (-1,)), 0, (int(np.prod(shape)),)
    places = np.repeat(np.arange(shape[axis]), func.repeats)
    builder.op('Gather', [x, builder.ints(places, 'places')], axis=int(axis))


def _flip(axis_of):
    @building
    def convert(func, builder, x):
        axis = axis_of(func)
        places = np.arange(func.inputs[0].shape[axis])[::-1]
        builder.op('Gather', [x, builder.ints(places, 'places')], axis=axis)

    return convert


convert_Flip = _flip(lambda func: int(func.axis))
convert_FlipLR = _flip(lambda func: 1)
convert_FlipUD = _flip(lambda func: 0)


@building
def convert_Permutate(func, builder, x):
    places = builder.context.get_name(func.indices) or builder.ints(func.indices, 'indices')
    builder.op('Gather', [x, places], axis=int(func.axis))


@building
def convert_Where(func, builder, condition, x, y):
    builder.op('Where', [builder.cast(condition, np.bool_), x, y])


@building
def convert_SelectItem(func, builder, x, t):
    shape, dtype = func.inputs[0].shape, func.inputs[0].dtype
    chosen = builder.one_hot(builder.cast(t, np.int64), shape[1], 1, dtype)
    builder.reduce('ReduceSum', builder.op('Mul', [x, chosen]), [1], False)


@building
def convert_SplitAxis(func, builder, x):
    lengths = [shape[func.axis] for shape in func.shapes]
    builder.split(x, lengths, int(func.axis))


def convert_Separate(func, opset_version, input_names, output_names, context):
    builder = Builder(opset_version, context)
    axis = func.axis % len(func.inputs[0].shape)
    parts = builder.split(*input_names, [1] * len(output_names), axis)
    for part, output in zip(parts, output_names):
        builder.op_output_named('Identity', [builder.squeeze(part, [axis])], [output])
    return builder.nodes()


@building
def convert_Stack(func, builder, *xs):
    axis = func.axis % (len(func.inputs[0].shape) + 1)
    builder.op('Concat', [builder.unsqueeze(x, [axis]) for x in xs], axis=axis)


def _stacking(axis, raised):
    """Concatenation along `axis(ndim)` of inputs with axes added at `raised(ndim)`."""

    @building
    def convert(func, builder, *xs):
        ndim = len(func.inputs[0].shape)
        builder.op('Concat', [builder.unsqueeze(x, raised(ndim)) for x in xs], axis=axis(ndim))

    return convert


convert_Vstack = _stacking(lambda ndim: 0, lambda ndim: ([0, 1], [0], [])[min(ndim, 2)])
convert_Hstack = _stacking(lambda ndim: int(ndim > 1), lambda ndim: [] if ndim else [0])
convert_Dstack = _stacking(lambda ndim: 2, lambda ndim: ([0, 1, 2], [0, 2], [2], [])[min(ndim, 3)])


def convert_TransposeSequence(func, opset_version, input_names, output_names, context):
    """Output j is made of the j-th elements of all inputs that are so long."""
    builder = Builder(opset_version, context)
    for j, output in enumerate(output_names):
        rows = [builder.slice(name, [0], [j], [j + 1]) for name, x in zip(input_names, func.inputs) if x.shape[0] > j]
        builder.op_output_named('Concat', rows, [output], axis=0)
    return builder.nodes()


@building
def convert_ResizeImages(func, builder, x):
    shape = func.inputs[0].shape
    sizes = (*shape[:2], *func.out_size)
    linear = func.mode == 'bilinear'
    if builder.opset >= 11:
        place = ('align_corners' if func.align_corners else 'half_pixel') if linear else 'asymmetric'
        attributes = {'coordinate_transformation_mode': place, 'nearest_mode': None if linear else 'floor'}
        inputs = [x, '', '', builder.ints(sizes, 'sizes')]
        if builder.opset < 13:  # these inputs could not be left out yet
            inputs[1:3] = [builder.const([], name, np.float32) for name in ('roi', 'scales')]
        builder.op('Resize', inputs, mode='linear' if linear else 'nearest', **attributes)
        return
    if linear:
        warnings.warn(
            'ResizeImages: before opset 11 ONNX does not say where pixels lie: results may differ', stacklevel=2
        )
    scales = [out / n for out, n in zip(sizes, shape)]
    if builder.opset < 10 and min(scales) < 1:
        raise ValueError(f'{func.label}: images are made smaller from opset 10 on')
    scales = builder.const(scales, 'scales', np.float32)
    name = 'Resize' if builder.opset == 10 else 'Upsample'
    builder.op(name, [x, scales], mode='linear' if linear else 'nearest')


def get_slice_node(gb, opset_version, context, input_names, axes, starts, ends, steps):
    """Adds a Slice to a GraphBuilder; returns the name of its output."""
    builder = Builder(opset_version, context)
    builder._nodes, builder._func_name = gb._nodes, gb._func_name
    return builder.slice(input_names[0], list(axes), list(starts), list(ends), list(steps))


@building
def convert_GetItem(func, builder, value):
    """Slices, then integers and new axes, then index arrays.

    One index array is a Gather; several are a GatherND, if they are the first axes of the result and stand together.
    """
    shape, slices = func.inputs[0].shape, list(func.slices)
    place = next((i for i, s in enumerate(slices) if s is Ellipsis), None)
    if place is not None:
        slices[place : place + 1] = [slice(None)] * (len(shape) + 1 - sum(s is not None for s in slices))

    cut, dropped, added, arrays = [], [], [], {}  # of x's axes; `added` and `arrays` by the axes of the result
    axis = kept = 0
    for s in slices:
        if s is None:
            added.append(kept)
            kept += 1
            continue
        if isinstance(s, slice):
            start, stop, step = s.indices(shape[axis])
            if (start, stop, step) != (0, shape[axis], 1):
                # a negative stop would be counted from the end
                cut.append((axis, start, stop if stop >= 0 else -shape[axis] - 1, step))
            kept += 1
        elif np.ndim(s) == 0 and np.asarray(s).dtype.kind in 'iu':
            place = int(s) % shape[axis]
            cut.append((axis, place, place + 1, 1))
            dropped.append(axis)
        else:
            arrays[kept] = np.asarray(s.get() if hasattr(s, 'get') else s)
            kept += 1
        axis += 1

    if cut:
        value = builder.slice(value, *map(list, zip(*cut)))
    value = builder.unsqueeze(builder.squeeze(value, dropped), added)
    if arrays:
        value = _gather(builder, func, value, arrays)
    return value


def _gather(builder, func, value, arrays):
    if any(a.dtype.kind not in 'iu' for a in arrays.values()):
        raise ValueError(f'{func.label}: only integers can be exported as index arrays, not {func.slices}')
    # Integers count as index arrays: where they stand apart, NumPy puts the axes of all of them first.
    advanced = [i for i, s in enumerate(func.slices) if not (s is None or s is Ellipsis or isinstance(s, slice))]
    together = advanced == list(range(advanced[0], advanced[-1] + 1))
    if len(arrays) == 1 and together:
        ((axis, places),) = arrays.items()
        return builder.op('Gather', [value, builder.const(places, 'places', np.int64)], axis=axis)
    where = [i for i in advanced if np.ndim(func.slices[i])]
    if not together or list(arrays) != list(range(len(arrays))) or where != list(range(where[0], where[-1] + 1)):
        raise ValueError(f'{func.label}: index arrays must stand together and first to be exported, not {func.slices}')
    if builder.opset < 11:
        raise ValueError(f'{func.label}: several index arrays need opset 11 or later')
    places = np.stack(np.broadcast_arrays(*arrays.values()), axis=-1)
    return builder.op('GatherND', [value, builder.const(places, 'places', np.int64)])
