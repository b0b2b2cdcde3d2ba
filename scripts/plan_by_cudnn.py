"""Has cuDNN plan the graphs that chainlite makes, for a GPU that is described to it: without one.

    pip install '.[cudnn]' nvidia-cuda-runtime       # 0.9 GB; and gcc
    python scripts/plan_by_cudnn.py [sm_80 sm_90 ...]

Prints how many plans cuDNN proposes for each graph and whether one can be built; fails where there is none. It tells
whether the graphs are well formed and supported; what they compute, and how fast, takes a device. The driver and the
runtime are replaced by stubs that know no more than the GPU's name and number. Plans that cuDNN compiles when they are
built need a real driver: for batch normalization, only the proposals are counted.
"""

import json
import os
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

import numpy as np

try:
    import ml_dtypes

    BFLOAT16 = [np.dtype(ml_dtypes.bfloat16)]
except ImportError:
    BFLOAT16 = []

STUBS = 'CHAINLITE_CUDNN_STUBS'  # set in the process that has them
# The functions of the driver that cuDNN looks for, without the `cu`.
DRIVER = """
GetErrorString ModuleGetFunction ModuleLoadData ModuleUnload TensorMapEncodeIm2col TensorMapEncodeTiled
CtxGetCurrent CtxGetLimit CtxPopCurrent CtxPushCurrent DeviceGet DeviceGetCount DriverGetVersion GetErrorName
KernelGetAttribute KernelGetFunction KernelSetAttribute LaunchCooperativeKernel LaunchKernel LaunchKernelEx
LibraryGetKernel LibraryLoadData LibraryLoadFromFile LibraryUnload LinkAddData LinkComplete LinkCreate
LinkDestroy OccupancyMaxPotentialClusterSize StreamGetCtx
""".split()
RUNTIME = """
#include <string.h>
#include <driver_types.h>
int cudaGetDevice(int *d) { *d = 0; return 0; }
int cudaGetDeviceCount(int *n) { *n = 1; return 0; }
int cudaDriverGetVersion(int *v) { *v = 13000; return 0; }
int cudaRuntimeGetVersion(int *v) { *v = 13000; return 0; }
int cudaGetLastError(void) { return 0; }
const char *cudaGetErrorString(int e) { return "a stub"; }
int cudaGetDeviceProperties(struct cudaDeviceProp *p, int d) {
  memset(p, 0, sizeof *p);
  p->major = SM / 10; p->minor = SM % 10; p->warpSize = 32; p->multiProcessorCount = 108;
  return 0;
}
int cudaGetDeviceProperties_v2(struct cudaDeviceProp *p, int d) { return cudaGetDeviceProperties(p, d); }
"""
WINDOWS = {  # x, W, outs, stride, pad, dilate, groups
    'LeNet-5': ((64, 1, 28, 28), (6, 1, 5, 5), (28, 28), (1, 1), (2, 2), (1, 1), 1),
    'ResNet-20': ((128, 16, 32, 32), (16, 16, 3, 3), (32, 32), (1, 1), (1, 1), (1, 1), 1),
    'ResNet-50, first': ((64, 3, 224, 224), (64, 3, 7, 7), (112, 112), (2, 2), (3, 3), (1, 1), 1),
    'ResNet-50, 1 x 1': ((64, 256, 56, 56), (64, 256, 1, 1), (56, 56), (1, 1), (0, 0), (1, 1), 1),
    'ResNet-50, 3 x 3': ((64, 64, 56, 56), (64, 64, 3, 3), (56, 56), (1, 1), (1, 1), (1, 1), 1),
    'ResNet-50, down': ((64, 256, 56, 56), (512, 256, 1, 1), (28, 28), (2, 2), (0, 0), (1, 1), 1),
    'cover_all': ((8, 8, 6, 6), (16, 8, 3, 3), (3, 3), (2, 2), (0, 0), (1, 1), 1),
    'grouped': ((8, 32, 14, 14), (64, 8, 3, 3), (14, 14), (1, 1), (1, 1), (1, 1), 4),
    'depthwise': ((8, 32, 14, 14), (32, 1, 3, 3), (14, 14), (1, 1), (1, 1), (1, 1), 32),
    'dilated': ((8, 32, 14, 14), (32, 32, 3, 3), (14, 14), (1, 1), (2, 2), (2, 2), 1),
    'one dimension': ((8, 32, 100), (32, 32, 3), (100,), (1,), (1,), (1,), 1),
    'three dimensions': ((2, 16, 8, 8, 8), (16, 16, 3, 3, 3), (8, 8, 8), (1, 1, 1), (1, 1, 1), (1, 1, 1), 1),
}
IMAGES = (64, 64, 56, 56)


def headers():
    """The folder with driver_types.h: of the wheel, or of a toolkit."""
    wheels = Path(sysconfig.get_path('purelib')) / 'nvidia'
    toolkit = Path(os.environ.get('CUDA_HOME', '/usr/local/cuda'))
    for folder in (*wheels.glob('**/include'), toolkit / 'include', *toolkit.parent.glob('cuda-1*/include')):
        if (folder / 'driver_types.h').is_file():
            return folder
    sys.exit("CUDA's headers are missing: pip install nvidia-cuda-runtime")


def compile_stub(folder, soname, text, *options):
    source = Path(folder, 'stub.c')
    source.write_text(text)
    subprocess.run(
        ['gcc', '-shared', '-fPIC', '-w', *options, f'-Wl,-soname,{soname}', '-o', f'{folder}/{soname}', source],
        check=True,
    )


def with_stubs(architecture):
    """Runs this program again, for one architecture, beside the stubs; gives its exit status."""
    with tempfile.TemporaryDirectory() as folder:
        compile_stub(folder, 'libcuda.so.1', '\n'.join(f'int cu{name}(void) {{ return 100; }}' for name in DRIVER))
        compile_stub(folder, 'libcudart.so.13', RUNTIME, f'-DSM={architecture[3:]}', f'-I{headers()}')
        environment = {**os.environ, 'LD_LIBRARY_PATH': folder, STUBS: folder}
        return subprocess.run([sys.executable, __file__, architecture], env=environment).returncode


def device(frontend, architecture):
    """What cuDNN has to know of a device, for some GPU of an architecture."""
    shared = {'sm_80': 166912, 'sm_86': 101376, 'sm_89': 101376}.get(architecture, 232448)
    properties = dict(
        deviceVer=int(architecture[3:]) * 10, driverVer=13000, deviceName='a GPU', multiProcessorCount=108,
        smCountOrigin=0, warpSize=32, maxGridSize=[(1 << 31) - 1, 65535, 65535], maxBlockSize=[1024, 1024, 64],
        regsPerBlock=65536, maxRegistersPerSM=65536, maxSharedMemoryPerBlock=49152,
        maxSharedMemoryPerBlockOptin=shared, reservedSharedMemoryPerBlock=1024, oversizedSharedMemoryPerBlock=0,
        maxCtasPerSM=32, maxThreadsPerBlock=1024, maxThreadsPerSM=2048, l2CacheSize=40 << 20,
        smClockRateKHz=1410000, memClockRateKHz=1215000, memoryBusWidth=5120, totalGlobalMem=40 << 30,
        pciDeviceId=0, cudaDeviceId=0, isTccDriver=0, supportCoopLaunch=1,
    )  # fmt: skip
    return frontend.create_device_properties(json.dumps(properties))


def proposals(make, tensor_cores, to_be_built):
    """How many plans there are for a graph, and whether one could be built, if it is to be."""
    from chainlite.backends.cudnn._plans import plan_graph

    try:
        plan_graph(make, 256 << 20, tensor_cores, False)
        count = make.graph.get_execution_plan_count()
    except make.frontend.cudnnGraphNotSupportedError:
        return 0, False
    if not to_be_built:
        return count, False
    try:
        make.graph.check_support()
        make.graph.build_plans()
        return count, True
    except make.frontend.cudnnGraphNotSupportedError:
        return count, False


def graphs(dtype):
    """(name, builder, arrays, settings, whether it has to be possible to build a plan)."""
    from chainlite.backends.cudnn import batch_normalization as bn
    from chainlite.backends.cudnn import conv

    def empty(*shape, dtype=dtype):
        return np.empty(shape, dtype)

    for name, (x_shape, w_shape, outs, stride, pad, dilate, _) in WINDOWS.items():
        window = conv._paddings(x_shape[2:], w_shape[2:], stride, pad, dilate, outs)
        shapes = x_shape, w_shape, (x_shape[0], w_shape[0], *outs)
        x, W, y = [empty(*s) if len(s) > 3 else empty(*s[:2], 1, s[2]) for s in shapes]
        yield f'{name}: forward', conv.build_forward, [x, W, y], window, True
        yield f'{name}: gradient of x', conv.build_backward_data, [y, W, x], window, True
        yield f'{name}: gradient of W', conv.build_backward_filter, [x, y, W], window, True
    if dtype == 'd':
        return
    x, y = empty(*IMAGES), empty(*IMAGES)
    numbers = [empty(1, IMAGES[1], 1, 1, dtype='f') for _ in range(4)]
    yield 'batch normalization', bn.build_forward, [x, *numbers[:2], y, *numbers[2:]], (1e-5,), False
    numbers.append(empty(1, IMAGES[1], 1, 1, dtype='f'))
    arrays = [x, y, *numbers[:3], empty(*IMAGES), *numbers[3:]]
    yield 'batch normalization: gradients', bn.build_backward, arrays, (), False


def main(architecture):
    import cudnn

    from chainlite.backends.cudnn._plans import Make

    print(f'cuDNN {cudnn.backend_version()}, frontend {cudnn.__version__}, for {architecture}')
    properties = device(cudnn, architecture)
    missing = 0
    for dtype in map(np.dtype, ['e', *BFLOAT16, 'f', 'd']):
        for last in (False, True):
            for tensor_cores in (False, True) if dtype == 'f' else (dtype.itemsize == 2,):
                for name, build, arrays, settings, to_be_built in graphs(dtype):
                    make = Make(cudnn, arrays, last, device_property=properties)
                    build(make, arrays, *settings)
                    count, built = proposals(make, tensor_cores, to_be_built)
                    good = built if to_be_built else count > 0
                    missing += not good
                    layout = 'channels last' if last else 'contiguous'
                    mode = ', TF32' if dtype == 'f' and tensor_cores else ''
                    outcome = 'one was built' if built else 'proposed' if count else 'none'
                    print(f'{dtype}{mode}, {layout}, {name}: {count} plans, {outcome}{"" if good else "  <--"}')
    print(f'{missing} graphs without a plan')
    return int(missing > 0)


if __name__ == '__main__':
    if STUBS in os.environ:
        sys.exit(main(sys.argv[1]))
    sys.exit(max([with_stubs(architecture) for architecture in sys.argv[1:] or ['sm_80', 'sm_90']]))
