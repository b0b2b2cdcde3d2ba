"""Weights of torchvision's networks, read from its files.

torchvision's networks differ from Chainer's in ways that weights do not show; a model that loads theirs takes over:

- images: torchvision has RGB values from 0 to 1, less a mean, divided by a deviation. The first filters are turned to
  BGR and divided by 255 times the deviation; images are prepared with torchvision's mean.
- pooling: windows are whole (`cover_all=False`); the first one of a ResNet has a border of 1.
- ResNet: the stride of a block is on its 3 x 3 convolution (`downsample_fb`), the first convolution has no bias (ours
  is 0), and batch normalization adds 1e-5 to the variance, not 2e-5.
"""

import json
import math
import os

import numpy

MEAN_BGR = (103.53, 116.28, 123.675)
_DEVIATION_RGB = numpy.array([0.229, 0.224, 0.225], numpy.float32)
EPS = 1e-5
ENDINGS = ('.safetensors', '.pth', '.pt')
_DTYPES = {'F64': '<f8', 'F32': '<f4', 'F16': '<f2', 'BF16': '<u2', 'I64': '<i8', 'I32': '<i4'}
_MOST_HEADER = 100_000_000  # bytes, as in the definition of the format


def read_state(path):
    """Reads a state dict.

    Args:
        path: Path of a safetensors file, or of a file of ``torch.save`` (which takes PyTorch, and runs no code of it).

    Returns:
        Dictionary from names to arrays.

    Raises:
        ValueError: if the file is damaged.
    """
    if str(path).endswith('.safetensors'):
        return _read_safetensors(path)
    try:
        import torch
    except ImportError:
        raise ImportError(
            f'PyTorch is needed to read {path}: pip install torch (safetensors files are read without it)'
        )
    try:
        state = torch.load(path, map_location='cpu', weights_only=True)
    except FileNotFoundError:
        raise
    except Exception as e:  # of many kinds
        raise ValueError(f'{path}: {e}')
    return {name: tensor.float().numpy() for name, tensor in state.items() if tensor.is_floating_point()}


def _read_safetensors(path):
    size = os.path.getsize(path)
    with open(path, 'rb') as f:
        n_header = int.from_bytes(f.read(8), 'little')
        if size < 8 or n_header > min(size - 8, _MOST_HEADER):
            raise ValueError(f'{path}: the header says it has {n_header} bytes, the file has {size}')
        try:
            header = json.loads(f.read(n_header))
            entries = {name: entry for name, entry in header.items() if name != '__metadata__'}
            return {name: _read_tensor(f, 8 + n_header, size, **entry) for name, entry in entries.items()}
        except (ValueError, TypeError, AttributeError, KeyError, RecursionError) as e:
            raise ValueError(f'{path}: the header is damaged: {e}')


def _read_tensor(f, start, size, dtype, shape, data_offsets):
    begin, end = data_offsets
    kind = numpy.dtype(_DTYPES[dtype])
    if not 0 <= begin <= end <= size - start or end - begin != math.prod(shape) * kind.itemsize:
        raise ValueError(f'{shape} of {dtype} do not lie from {begin} to {end}')
    f.seek(start + begin)
    array = numpy.frombuffer(f.read(end - begin), kind).reshape(shape)
    if dtype == 'BF16':  # the upper half of float32
        return (array.astype('<u4') << 16).view('<f4')
    return array if kind.kind == 'i' else array.astype(numpy.float32)


def load(path, sources):
    """Copies weights into arrays, or changes nothing.

    Args:
        path: Path of the file.
        sources: Dictionary from the names in the file to the arrays to fill.

    Raises:
        ValueError: if a name or a shape does not fit.
    """
    state = read_state(path)
    names = {name for name in state if not name.endswith('.num_batches_tracked')}
    missing, unknown = sorted(set(sources) - names), sorted(names - set(sources))
    if missing or unknown:
        bn = next((n for n in unknown if n.endswith('.running_mean')), None)
        why = f'; {bn!r} belongs to batch normalization, which this network does not have there' if bn else ''
        raise ValueError(
            f'{path} holds the weights of another network: it lacks {missing[:3]} ({len(missing)} in all) '
            f'and has {unknown[:3]} ({len(unknown)}){why}'
        )
    for name, array in sources.items():
        if state[name].shape != array.shape:
            raise ValueError(f'{path}: {name} has the shape {state[name].shape}, it should be {array.shape}')
    for name, array in sources.items():
        value = state[name]
        if value.ndim == 4 and value.shape[1] == 3:  # of RGB
            value = (value / (255 * _DEVIATION_RGB)[:, None, None])[:, ::-1]
        array[...] = numpy.ascontiguousarray(value)


def normalization(name, bn):
    """The arrays of a batch normalization under torchvision's names."""
    arrays = {'weight': bn.gamma.array, 'bias': bn.beta.array, 'running_mean': bn.avg_mean, 'running_var': bn.avg_var}
    return {f'{name}.{what}': array for what, array in arrays.items()}
