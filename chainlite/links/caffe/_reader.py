"""Reading caffemodels: a file is checked before anything is made of it.

Protobuf's messages are bytes that say how long their parts are. A walk over the whole file, which skips the weights and
so takes milliseconds, finds what does not fit; it also counts, as a small file can hold very many empty messages, each
of which would take hundreds of bytes. Weights are then used as they lie in the file.
"""

import math

import numpy

from chainlite.links.caffe.protobuf3 import caffe_pb2

_MOST_FIELDS = 300_000  # a network of a thousand layers has some 30,000
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


class CaffeModelError(ValueError, RuntimeError):
    """A caffemodel that is damaged (ValueError), or holds what can not be run (Chainer raises RuntimeError there)."""


def read_net(path):
    """Reads the network of a caffemodel.

    Args:
        path: Path of the file.

    Returns:
        NetParameter of :func:`caffe_pb2.make_messages` with ``lean=True``.

    Raises:
        CaffeModelError: if the file is not a caffemodel or is damaged.
        OSError: if it can not be read.
    """
    NetParameter = caffe_pb2.make_messages(lean=True)['NetParameter']
    with open(path, 'rb') as f:
        content = f.read()
    try:
        _Walk(content).check(NetParameter.DESCRIPTOR, 0, len(content), 'the network')
        net = NetParameter.FromString(content)
        if not (net.layer or net.layers):
            raise CaffeModelError('there are no layers in it')
        return net
    except CaffeModelError as e:
        raise CaffeModelError(f'{path}: {_guess(content) or e}') from None
    except Exception as e:  # protobuf's own error; the walk lets nothing pass that should get here
        raise CaffeModelError(f'{path}: {e}') from None


def _guess(content):
    """Says what else a file is that is no caffemodel."""
    if not content:
        return 'the file is empty'
    if content.startswith(b'\x89HDF'):
        return 'this is an HDF5 file, only caffemodels of protobuf are read'
    start = content[:200]
    if all(32 <= c < 127 or c in b'\t\r\n' for c in start):
        return 'this is a text, not a caffemodel (a prototxt describes a network without its weights)'
    return None


class _Walk:
    """Goes over the fields of messages, without making any."""

    def __init__(self, content):
        self._content = content
        self._n_fields = 0

    def check(self, descriptor, position, end, where):
        """Raises an error unless the bytes from ``position`` to ``end`` are fields, with messages where they belong."""
        fields = descriptor.fields_by_number
        counts = {}
        while position < end:
            self._n_fields += 1
            if self._n_fields > _MOST_FIELDS:
                raise CaffeModelError(f'more than {_MOST_FIELDS} fields, which is no network (in {where})')
            start = position
            tag, position = self._varint(position, end, where)
            number, kind = tag >> 3, tag & 7
            if not 0 < number < 1 << 29:
                raise CaffeModelError(f'byte {start}, in {where}: there is no field {number}')
            if kind == _BYTES:
                size, position = self._varint(position, end, where)
            elif kind == _VARINT:
                size = self._varint(position, end, where)[1] - position
            elif kind in (_FIXED64, _FIXED32):
                size = 8 if kind == _FIXED64 else 4
            else:
                raise CaffeModelError(f'byte {start}, in {where}: unknown kind {kind} of field {number}')
            if size > end - position:
                raise CaffeModelError(
                    f'byte {start}, in {where}: field {number} says it has {size} bytes, {end - position} are left'
                )
            field = fields.get(number)
            if kind == _BYTES and field is not None and field.message_type is not None:
                counts[number] = counts.get(number, 0) + 1
                inside = f'{field.name} {counts[number]} of {where}'
                self.check(field.message_type, position, position + size, inside)
            position += size

    def _varint(self, position, end, where):
        value = 0
        for shift in range(0, 70, 7):
            if position == end:
                raise CaffeModelError(f'{where} ends in the middle of a number, at byte {end}')
            byte = self._content[position]
            position += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value, position
        raise CaffeModelError(f'byte {position}, in {where}: a number of more than 64 bits')


def shape_of(blob):
    """Returns the shape that an array of parameters says it has; files of old have four numbers instead."""
    if blob.HasField('shape'):
        return tuple(blob.shape.dim)
    return (blob.num, blob.channels, blob.height, blob.width)


def array_of(blob, shape, what):
    """Returns the values of an array of parameters.

    Args:
        blob: BlobProto.
        shape: Shape that they must have.
        what: What they are, for error messages.

    Returns:
        Array, float32, which may not be writable.
    """
    pieces, dtype = (blob.double_data, '<f8') if blob.double_data else (blob.data or [_unpacked(blob)], '<f4')
    content = pieces[0] if len(pieces) == 1 else b''.join(pieces)
    n_values, rest = divmod(len(content), int(dtype[-1]))
    if rest or n_values != math.prod(shape) or min(shape, default=1) < 0:
        raise CaffeModelError(f'{what} should be an array of shape {tuple(shape)}, but there are {n_values} values')
    return numpy.frombuffer(content, dtype).reshape(shape).astype(numpy.float32, copy=False)


def _unpacked(blob):
    """The bytes of values that were written one by one, which is allowed too."""
    whole = caffe_pb2.make_messages()['BlobProto'].FromString(blob.SerializeToString())
    return numpy.array(whole.data, '<f4').tobytes()
