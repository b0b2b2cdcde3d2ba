"""Sections of on_device.py: versions, bandwidth of the kernels, rates of products and convolutions."""

import subprocess
import sys

from on_device_tools import TINY, cupy_clock, emit, guarded, milliseconds, seconds_left, torch_clock

import chainlite as chainer
import chainlite.functions as F
from chainlite.backends import cuda
from chainlite.backends._layout import as_last, from_last
from chainlite.backends.cpu import batch_normalization, conv

DTYPES = ('float32', 'float16', 'bfloat16')


def as_dtype(name):
    if name == 'bfloat16':
        import ml_dtypes

        return ml_dtypes.bfloat16
    return name


# ---- versions -------------------------------------------------------------------------------------------------------


def versions():
    """Of everything that matters."""
    from chainlite._runtime_info import _get_runtime_info

    cupy = cuda.cupy
    properties = cupy.cuda.runtime.getDeviceProperties(0)
    row = {'device': properties['name'].decode(), 'compute_capability': cupy.cuda.Device().compute_capability}
    row['memory'] = properties['totalGlobalMem']
    emit(**row, **{name: str(value) for name, value in _get_runtime_info().versions.items()}, **_torch_versions())
    query = ['nvidia-smi', '--query-gpu=driver_version,clocks.max.sm,clocks.max.mem,power.limit', '--format=csv']
    try:
        emit(nvidia_smi=subprocess.run(query, capture_output=True, text=True, timeout=20).stdout.splitlines())
    except OSError:
        pass


def _torch_versions():
    try:
        import torch
    except ImportError:
        return {}
    return {'torch': torch.__version__, 'torch_cudnn': torch.backends.cudnn.version(), 'torch_cuda': torch.version.cuda}


# ---- bandwidth ------------------------------------------------------------------------------------------------------


def memory_bound(cupy, dtype):
    """(name, bytes that have to be moved, function) for kernels that compute little."""
    n, c, h = (2, 8, 8) if TINY else (64, 256, 56)
    x = cupy.random.standard_normal((n, c, h, h), 'f').astype(dtype)
    gy = x * 2
    size = x.nbytes
    gamma, beta = cupy.ones(c, 'f'), cupy.zeros(c, 'f')
    axis = 0, 2, 3
    mean, inv_std = cupy.zeros(c, 'f'), cupy.ones(c, 'f')
    last, half = as_last(x), size // 4
    rows = cupy.random.standard_normal((64, 128) if TINY else (1 << 16, 1000), 'f').astype(dtype)
    labels = cupy.zeros(len(rows), 'i')
    words = cupy.random.randint(0, len(rows), len(rows)).astype('i')
    variable = chainer.Variable(x)
    logits = chainer.Variable(rows)

    def backward(function, variable):
        ys = []

        def run():
            if not ys:
                ys.append(function(variable))
                ys[0].grad = ys[0].array
            variable.cleargrad()
            ys[0].backward(retain_grad=True)

        return run

    with chainer.no_backprop_mode():
        yield 'copy', 2 * size, lambda: x.copy()
        yield 'relu', 2 * size, lambda: F.relu(x)
        yield 'sigmoid', 2 * size, lambda: F.sigmoid(x)
        yield 'add', 3 * size, lambda: F.add(x, gy)
        yield 'dropout', 2 * size, lambda: F.dropout(x, 0.5)
        yield 'sum', size, lambda: F.sum(x)
        yield 'max_pooling', size + half, lambda: F.max_pooling_2d(x, 2)
        yield 'average_pooling', size + half, lambda: F.average_pooling_2d(x, 2)
        yield 'max_pooling_channels_last', size + half, lambda: F.max_pooling_2d(last, 2)
        yield 'softmax', 2 * rows.nbytes, lambda: F.softmax(rows)
        yield 'softmax_cross_entropy', rows.nbytes, lambda: F.softmax_cross_entropy(rows, labels)
        yield 'layer_normalization', 2 * rows.nbytes, lambda: F.layer_normalization(rows, rows[0], rows[1])
        yield 'group_normalization', 2 * size, lambda: F.group_normalization(x, 4, gamma, beta)
        yield 'local_response_normalization', 2 * size, lambda: F.local_response_normalization(x)
        yield 'embed_id', 2 * rows.nbytes, lambda: F.embed_id(words, rows)
        yield 'to_channels_last', 2 * size, lambda: as_last(x)
        yield 'from_channels_last', 2 * size, lambda: from_last(last)
        for name, images in ('', x), ('_channels_last', last):
            grads = gy if images is x else as_last(gy)
            yield (
                f'batch_normalize{name}',
                3 * size,
                lambda images=images: batch_normalization.batch_normalize(images, gamma, beta, axis, 2e-5),
            )
            yield (
                f'batch_normalize_grad{name}',
                5 * size,
                lambda images=images, grads=grads: batch_normalization.normalize_grad(
                    grads, images, gamma, mean, inv_std, axis, False
                ),
            )
    yield 'relu_grad', 3 * size, backward(F.relu, variable)
    yield 'max_pooling_grad', size + half, backward(lambda x: F.max_pooling_2d(x, 2), variable)
    yield 'softmax_grad', 3 * rows.nbytes, backward(F.softmax, logits)
    yield 'dropout_grad', 2 * size, backward(F.dropout, variable)
    yield 'local_response_normalization_grad', 3 * size, backward(F.local_response_normalization, variable)
    scales = [chainer.Parameter(rows[k].copy()) for k in (0, 1)]
    yield 'layer_normalization_grad', 5 * rows.nbytes, backward(lambda x: F.layer_normalization(x, *scales), logits)
    yield 'embed_id_grad', 2 * rows.nbytes, backward(lambda W: F.embed_id(words, W), logits)
    for name, moved in ('MomentumSGD', 5), ('Adam', 7):
        net = chainer.Link()
        with net.init_scope():
            for i in range(2 if TINY else 60):
                shape = (16, 16) if TINY else (1024, 1024)
                setattr(net, f'p{i}', chainer.Parameter(cupy.ones(shape, 'f').astype(dtype)))
        optimizer = getattr(chainer.optimizers, name)().setup(net)
        for p in net.params():
            p.grad = p.array * 0
        total = sum(p.array.nbytes for p in net.params())
        yield f'{name}_update', moved * total, optimizer.update


def bandwidth():
    """Bytes per second of each kernel, as a share of those of a copy in the same run."""
    cupy = cuda.cupy
    clock = cupy_clock()
    for dtype in DTYPES[:1] if TINY else DTYPES:
        speed = None
        with guarded(kernel='all', dtype=dtype):
            for name, moved, function in memory_bound(cupy, as_dtype(dtype)):
                if seconds_left() < 5:
                    return
                with guarded(kernel=name, dtype=dtype):
                    ms = milliseconds({name: (clock, function)}, rounds=5)[name]
                    rate = moved / ms / 1e6
                    speed = speed or rate
                    emit(kernel=name, dtype=dtype, ms=ms, gb_per_s=rate, share_of_copy=rate / speed)


# ---- products -------------------------------------------------------------------------------------------------------

PRODUCTS = [  # m, k, n
    (8192, 8192, 8192),
    (4096, 1024, 4096),
    (64, 2048, 1000),
]
CONVOLUTIONS = {  # n, c, size, m, k, stride, groups
    'resnet50_first': (64, 3, 224, 64, 7, 2, 1),
    'resnet50_1x1_256': (64, 256, 56, 64, 1, 1, 1),
    'resnet50_3x3_64': (64, 64, 56, 64, 3, 1, 1),
    'resnet50_3x3_256': (64, 256, 14, 256, 3, 1, 1),
    'resnet50_1x1_2048': (64, 512, 7, 2048, 1, 1, 1),
    'resnet20_16': (128, 16, 32, 16, 3, 1, 1),
    'vgg16_3x3_512': (32, 512, 28, 512, 3, 1, 1),
    'depthwise': (64, 128, 56, 128, 3, 1, 128),
}
MODES = [('float32', None), ('float32', 'tf32'), ('float16', None), ('bfloat16', None)]


def torch_on_device():
    """(torch, device) or (None, None)."""
    try:
        import torch
    except ImportError:
        return None, None
    return torch, 'cuda' if torch.cuda.is_available() else 'cpu'


def set_torch_precision(torch, mode):
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = mode == 'tf32'
    torch.backends.cudnn.benchmark = True


def products():
    """FLOPs per second of matrix products and convolutions, beside cuBLAS's own in a large product, and PyTorch's."""
    cupy = cuda.cupy
    torch, where = torch_on_device()
    cuda.set_max_workspace_size(1 << 30)
    for dtype, mode in MODES[1:3] if TINY else MODES:
        labels = dict(dtype=dtype, mode=mode or 'float32 sums')
        with chainer.using_config('compute_mode', mode), chainer.using_config('autotune', True):
            if torch is not None:
                set_torch_precision(torch, mode)
            best = None
            for m, k, n in [(16, 16, 16)] if TINY else PRODUCTS:
                with guarded(product=[m, k, n], **labels):
                    rate = _product(cupy, torch, where, m, k, n, dtype, labels)
                    best = best or rate
            for name, shape in list(CONVOLUTIONS.items())[: 2 if TINY else None]:
                if seconds_left() < 5:
                    return
                if TINY:
                    n, c, size, m, k, stride, groups = shape
                    shape = 1, min(c, 8), 6, min(m, 8), min(k, 3), stride, min(groups, 8)
                with guarded(convolution=name, **labels):
                    _convolution(cupy, torch, where, name, shape, dtype, labels, best)


def _product(cupy, torch, where, m, k, n, dtype, labels):
    a = cupy.random.standard_normal((m, k), 'f').astype(as_dtype(dtype))
    b = cupy.random.standard_normal((k, n), 'f').astype(as_dtype(dtype))
    clock = cupy_clock()
    functions = {'chainlite': (clock, lambda: F.matmul(a, b))}
    if dtype != 'bfloat16' and labels['mode'] != 'tf32':  # what CuPy's call to cuBLAS computes by default
        functions['cupy'] = clock, lambda: a @ b
    if torch is not None:
        ta, tb = [torch.randn(*s, device=where).to(getattr(torch, dtype)) for s in ((m, k), (k, n))]
        functions['torch'] = torch_clock(torch), lambda: ta @ tb
    with chainer.no_backprop_mode():
        ms = milliseconds(functions, rounds=5)
    rates = {name: 2e-9 * m * k * n / t for name, t in ms.items()}
    emit(product=[m, k, n], **labels, ms=ms, tflop_per_s=rates)
    return max(rates.values())


def _convolution(cupy, torch, where, name, shape, dtype, labels, best):
    n, c, size, m, k, stride, groups = shape
    pad, out = k // 2, (size + 2 * (k // 2) - k) // stride + 1
    x = as_last(cupy.random.standard_normal((n, c, size, size), 'f').astype(as_dtype(dtype)))
    W = cupy.random.standard_normal((m, c // groups, k, k), 'f').astype(as_dtype(dtype)) / k
    gy = as_last(cupy.random.standard_normal((n, m, out, out), 'f').astype(as_dtype(dtype)))
    window = (stride, stride), (pad, pad), (1, 1), groups
    parts = {
        'forward': lambda: conv.convolve(x, W, None, *window, (out, out), x.dtype),
        'gradient of x': lambda: conv.deconvolve(gy, W, None, *window, (size, size), x.dtype),
        'gradient of W': lambda: conv.filter_grad(x, gy, (k, k), *window, W.dtype),
    }
    flop = 2e-9 * n * m * out * out * k * k * c / groups
    clock = cupy_clock()
    torch_parts = {} if torch is None else _torch_convolution(torch, where, shape, dtype, pad, out)

    def by(level, function, tensor_cores='auto'):
        def run():
            with chainer.using_config('use_cudnn', level), chainer.using_config('use_cudnn_tensor_core', tensor_cores):
                return function()

        return run

    for part, function in parts.items():
        functions = {'ours': (clock, by('never', function)), 'columns': (clock, by('never', function, 'never'))}
        if cuda.cudnn_enabled:
            functions['cudnn'] = clock, by('always', function)
        if part in torch_parts:
            functions['torch'] = torch_clock(torch), torch_parts[part]
        ms = milliseconds(functions, rounds=5, target=8)
        rates = {by: flop / t for by, t in ms.items()}
        shares = {by: rate / best for by, rate in rates.items()} if best else {}
        emit(convolution=name, part=part, **labels, ms=ms, tflop_per_s=rates, share_of_cublas=shares)


def _torch_convolution(torch, where, shape, dtype, pad, out):
    n, c, size, m, k, stride, groups = shape
    kind = dict(device=where, dtype=getattr(torch, dtype))
    x = torch.randn(n, c, size, size, **kind).contiguous(memory_format=torch.channels_last)
    W = torch.randn(m, c // groups, k, k, **kind).contiguous(memory_format=torch.channels_last)
    gy = torch.randn(n, m, out, out, **kind).contiguous(memory_format=torch.channels_last)

    def backward(for_x, for_W):
        mask = [for_x, for_W, False]
        return lambda: torch.ops.aten.convolution_backward(
            gy, x, W, None, [stride] * 2, [pad] * 2, [1, 1], False, [0, 0], groups, mask
        )

    return {
        'forward': lambda: torch.nn.functional.conv2d(x, W, None, stride, pad, 1, groups),
        'gradient of x': backward(True, False),
        'gradient of W': backward(False, True),
    }


if __name__ == '__main__':
    {'versions': versions, 'bandwidth': bandwidth, 'products': products}[sys.argv[1]]()
