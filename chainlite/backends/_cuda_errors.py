"""Says what was computed when CUDA or CuPy raised an error.

The error keeps its type and its traceback; its text grows by lines such as

    in Convolution2DFunction, forward: (64, 3, 224, 224) float32, (64, 3, 7, 7) float32; on GPU 0

and, where memory ran out, by how much there is and who has it; where the device's context is lost, by what to do.
"""

import functools
import sys
import traceback

_KINDS = {'OutOfMemoryError', 'CUDARuntimeError', 'CUDADriverError', 'CompileException', 'NVRTCError', 'CUBLASError'}
# What a CUDA context does not survive: each call after it fails, too.
_LOST = {214, 220, 700, 702, 709, 710, 714, 715, 716, 717, 718, 719}
_OUT_OF_MEMORY = 2  # cudaErrorMemoryAllocation
_MOST_LINES = 6


@functools.cache
def _with_context(kind):
    """A subclass of a class of errors, whose text goes on after that of its base."""

    def __str__(self):
        return '\n'.join([kind.__str__(self), *self.context])

    def __reduce__(self):  # as one of the base: this class cannot be looked up
        rebuild, arguments, *_ = kind.__reduce__(self)
        return (kind if rebuild is type(self) else rebuild), arguments

    names = dict(__str__=__str__, __reduce__=__reduce__, __module__=kind.__module__, __qualname__=kind.__qualname__)
    return type(kind.__name__, (kind,), names)


def _is_of_cuda(error):
    kind = type(error)
    return kind.__name__ in _KINDS and kind.__module__.partition('.')[0] in ('cupy', 'cupy_backends')


def is_out_of_memory(error):
    """Whether an error says that there is no more memory on a GPU."""
    return _is_of_cuda(error) and (
        isinstance(error, MemoryError) or getattr(error, 'status', None) == _OUT_OF_MEMORY and 'allocat' in str(error)
    )


def context_is_lost(error):
    """Whether nothing can be computed any more on the device, in this process."""
    return _is_of_cuda(error) and getattr(error, 'status', None) in _LOST


def explain(error, doing, arrays=()):
    """Adds to the text of an error of CUDA or CuPy what was done, and with which arrays. Other errors stay as they are.

    Args:
        error: the exception, which the caller raises again.
        doing: text, such as 'Sum, forward'.
        arrays: arrays and other objects; what has no shape is passed over.
    """
    if not _is_of_cuda(error):
        return
    first = not hasattr(error, 'context')
    if first:
        error.context = []
        error.__class__ = _with_context(type(error))
    if len(error.context) >= _MOST_LINES:
        return
    error.context.append(f'  in {doing}{_described(arrays)}')
    if first and is_out_of_memory(error):
        error.context += _memory()
    elif first and context_is_lost(error):
        error.context.append(
            '  The device does not recover from this in this process. Kernels run behind the program: the one that '
            'failed may have been started before. CUDA_LAUNCH_BLOCKING=1 in the environment finds it.'
        )


def add_line(error, text):
    """Adds a line to the text of an error that has been explained."""
    if hasattr(error, 'context'):
        error.context.append(f'  {text}')


def _described(arrays):
    arrays = [a for a in arrays if hasattr(a, 'shape') and hasattr(a, 'dtype')]
    if not arrays:
        return ''
    devices = sorted({str(a.data.device_id) for a in arrays if hasattr(getattr(a, 'data', None), 'device_id')})
    place = f'; on GPU {", ".join(devices)}' if devices else ''
    return ': ' + ', '.join(f'{a.shape} {a.dtype}' for a in arrays) + place


def _memory():
    """Lines that say how much memory there is."""
    cupy = sys.modules['cupy']
    try:
        free, total = cupy.cuda.runtime.memGetInfo()
        pool = cupy.get_default_memory_pool()
        return [
            f'  {free:,} of {total:,} bytes are free on the device; '
            f"CuPy's pool uses {pool.used_bytes():,} and keeps {pool.free_bytes():,} for later"
        ]
    except Exception:  # the device does not answer
        return []


def release(error):
    """After a lack of memory: drops what the frames of the traceback hold, above all the graph, and gives back the
    blocks that CuPy's pool keeps, so that a smaller batch can follow. To be called by whoever began the computation."""
    if not is_out_of_memory(error):
        return
    seen = set()
    link = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        traceback.clear_frames(link.__traceback__)  # of those that have returned
        link = link.__cause__ or link.__context__
    sys.modules['cupy'].get_default_memory_pool().free_all_blocks()
