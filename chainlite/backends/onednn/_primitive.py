"""Operations: oneDNN's primitives as functions of ndarrays.

An operation is made for fixed shapes and layouts. Where the primitive wants an argument in a layout of its own
(weights, mostly), the operation reorders it before or after. Results and arguments are float32 or, in a few operations,
bfloat16.
"""

import ctypes
import sys
from ctypes import byref, c_float, c_int, c_int64, c_void_p

import numpy as np

from chainlite.backends.onednn import _library, _threads

TRAINING, INFERENCE, BACKWARD, BACKWARD_DATA = 64, 96, 128, 160  # kinds of propagation

# Arguments of primitives: the number that `execute` knows them by, and the one that asks for the layout that the
# primitive wants (None: it takes the one that is given).
SRC, DST, WEIGHTS, BIAS = (1, 129), (17, 133), (33, 131), (41, None)
MEAN, VARIANCE, SCALE, SHIFT, WORKSPACE = (49, None), (50, None), (51, None), (52, None), (64, 135)
DIFF_SRC, DIFF_DST, DIFF_WEIGHTS, DIFF_BIAS = (129, 130), (145, 134), (161, 132), (169, None)
DIFF_SCALE, DIFF_SHIFT = (255, None), (256, None)
_BY_NUMBER = 255  # asks for the layout of the argument of a number
SRC_0, SRC_1, RESULT = (1, None), (2, None), (17, None)  # of operations that take arrays as they are
SCALE_0, SCALE_1 = (0x1001, None), (0x1002, None)  # factors of the first two of these
OPERANDS = [(0x8000 * i | 2, _BY_NUMBER) for i in range(1, 33)]  # of the operations that come after another one

_TYPES = {'E': 2, 'f': 3, 'B': 6}  # data types, by NumPy's characters
_ANY, _BLOCKED = 1, {3: 56, 4: 78, 5: 121}  # layouts; blocks of 16 channels, by the number of dimensions
_RELU = 0x20  # algorithm
_IMPLEMENTATION = 8  # query
_Dims = c_int64 * 12


def dims(values):
    return _Dims(*values)


# -- descriptors ------------------------------------------------------------------------------------------------------
class Descriptors:
    """Makes descriptors of memory and of primitives, and destroys them at the end of a `with` block.

    Args:
        dtype: of the memory: float32, bfloat16 or uint8.
    """

    def __init__(self, dtype='f'):
        self.is_float32 = dtype == 'f'
        self._type = _TYPES[np.dtype(dtype).char]

    def __enter__(self):
        self._library, self._made = _library.library(), []
        return self

    def __exit__(self, *_):
        for kind, handle in self._made:
            self._library.call(kind + '_destroy', handle)

    def _new(self, kind, name, *arguments):
        handle = c_void_p()
        self._library.call(name, byref(handle), *arguments)
        self._made.append((kind, handle))
        return handle

    def plain(self, shape, last=False):
        """C-contiguous, or channels last."""
        strides, step = [0] * len(shape), 1
        for axis in reversed((0, *range(2, len(shape)), 1) if last else range(len(shape))):
            strides[axis] = step
            step *= shape[axis]
        return self.strided(shape, strides)

    def strided(self, shape, strides):
        arguments = len(shape), dims(shape), self._type, dims(strides)
        return self._new('memory_desc', 'memory_desc_create_with_strides', *arguments)

    def any(self, shape):
        """A layout that the primitive chooses."""
        return self._tagged(shape, _ANY)

    def blocked(self, shape):
        """The channels in blocks of 16; in the last axis lie those of one block."""
        return self._tagged(shape, _BLOCKED[len(shape)])

    def _tagged(self, shape, tag):
        return self._new('memory_desc', 'memory_desc_create_with_tag', len(shape), dims(shape), self._type, tag)

    def primitive(self, kind, *arguments, relu=False, attributes=None):
        """Descriptor of a primitive; `arguments` are those of oneDNN's function between the engine and the
        attributes. With `relu` its result is rectified, where NaN becomes 0."""
        name = kind + '_primitive_desc_create'
        if relu:
            attributes = self.attributes([('eltwise', _RELU, c_float(0), c_float(0))])
        return self._new('primitive_desc', name, self._library.engine, *arguments, attributes)

    def attributes(self, after, scaled=()):
        """What a primitive does besides.

        Args:
            after: operations on its result, each a tuple of oneDNN's name of the kind and of what that takes.
            scaled: numbers of the arguments that are multiplied by a factor, which is another argument.
        """
        operations = self._new('post_ops', 'post_ops_create')
        for kind, *arguments in after:
            self._library.call('post_ops_append_' + kind, operations, *arguments)
        attributes = self._new('primitive_attr', 'primitive_attr_create')
        self._library.call('primitive_attr_set_post_ops', attributes, operations)
        for number in scaled:
            self._library.call('primitive_attr_set_scales_mask', attributes, number, 0)
        return attributes

    def reorder(self, source, target):
        engine = self._library.engine
        name = 'reorder_primitive_desc_create'
        return self._new('primitive_desc', name, source, engine, target, engine, None)

    def wanted(self, primitive, argument):
        """The layout that a primitive wants an argument in."""
        number, query = argument
        return c_void_p(self._library.query_md(primitive, query, number if query == _BY_NUMBER else 0))

    def size(self, memory):
        """In bytes."""
        return self._library.memory_desc_size(memory)

    def equal(self, a, b):
        return bool(self._library.memory_desc_equal(a, b))

    def implementation(self, primitive):
        """Name of the code that oneDNN chose."""
        name = ctypes.c_char_p()
        self._library.call('primitive_desc_query', primitive, _IMPLEMENTATION, 0, byref(name))
        return name.value.decode()


# -- primitives -------------------------------------------------------------------------------------------------------
class _Argument(ctypes.Structure):
    _fields_ = [('number', c_int), ('memory', c_void_p)]


class Primitive:
    """A primitive and its memory objects; called with the address of each argument.

    Args:
        primitive: descriptor.
        arguments: pairs of an argument and the descriptor of its memory.
    """

    def __init__(self, primitive, arguments):
        self._library = library = _library.library()
        self._memories = self._known = ()
        self._handle = c_void_p()
        library.call('primitive_create', byref(self._handle), primitive)
        self._arguments = (_Argument * len(arguments))()
        for place, ((number, _), memory) in zip(self._arguments, arguments):
            handle = c_void_p()
            library.call('memory_create', byref(handle), memory, library.engine, None)
            place.number, place.memory = number, handle.value
            self._memories = (*self._memories, handle.value)
        self._run = library.execute
        self._set = library.set_data_handle
        self._first = ctypes.addressof(self._arguments)
        self._stream = _threads.prepare().stream

    def __call__(self, *addresses):
        if addresses != self._known:  # most arrays of a training step lie where those of the step before lay
            self._known = addresses
            set_data_handle = self._set
            for memory, address in zip(self._memories, addresses):
                set_data_handle(memory, address)
        status = self._run(self._handle, self._stream, len(addresses), self._first)
        if status:
            _library.check(status, 'primitive_execute')

    def __del__(self, is_finalizing=sys.is_finalizing):
        if is_finalizing():  # the process ends, and takes everything with it
            return
        for memory in self._memories:
            self._library.call('memory_destroy', c_void_p(memory))
        if self._handle:
            self._library.call('primitive_destroy', self._handle)


class Operation:
    """A primitive as a function of ndarrays, inputs and outputs alike.

    Args:
        make: Descriptors.
        primitive: descriptor of the primitive.
        arguments: for each: the argument, the descriptor of the ndarrays that are given for it, and whether it is an
            output.

    Attributes:
        implementation: name of oneDNN's code.
        bytes: size of each argument.
    """

    def __init__(self, make, primitive, *arguments):
        self.implementation = make.implementation(primitive)
        self._reorders = []
        layouts = []
        self.bytes = []
        for place, (argument, given, is_output) in enumerate(arguments):
            wanted = given if argument[1] is None else make.wanted(primitive, argument)
            if given is None:  # opaque
                given = wanted
            elif not make.equal(given, wanted):
                source, target = (wanted, given) if is_output else (given, wanted)
                reorder = Primitive(make.reorder(source, target), [(SRC, source), (DST, target)])
                self._reorders.append((place, reorder, make.size(wanted), is_output))
            layouts.append((argument, wanted))
            self.bytes.append(make.size(given))
        self._primitive = Primitive(primitive, layouts)

    def __call__(self, *arrays):
        run = self.at if self._reorders else self._primitive
        run(*[address(a) for a in arrays])

    def reordered(self, place, array):
        """A copy of the argument at a place in the layout that the primitive wants, or None if it takes the array."""
        for where, reorder, size, _ in self._reorders:
            if where == place:
                buffer = np.empty(size, np.uint8)
                reorder(address(array), address(buffer))
                return buffer
        return None

    def at(self, *addresses, ready=None):
        """The same for arrays that begin at these addresses; what is at the place `ready` has been reordered before."""
        if len(self._reorders) == (ready is not None):  # there is nothing else to be reordered
            self._primitive(*addresses)
            return
        addresses = list(addresses)
        given, buffers = addresses.copy(), []
        for place, reorder, size, is_output in self._reorders:
            if place == ready:
                continue
            buffers.append(np.empty(size, np.uint8))
            addresses[place] = address(buffers[-1])
            if not is_output:
                reorder(given[place], addresses[place])
        self._primitive(*addresses)
        for place, reorder, _, is_output in self._reorders:
            if is_output:
                reorder(addresses[place], given[place])


# The address of an array's elements, in a third of the time that x.ctypes.data takes: it is the first field of the
# struct that NumPy's C interface documents, after what all Python objects begin with.
_HEAD = object.__basicsize__


def _fast_address(x):
    return c_void_p.from_address(id(x) + _HEAD).value


def _address(x):
    return x.ctypes.data


_probe = np.empty(1)
address = _fast_address if _fast_address(_probe) == _address(_probe) else _address
