"""Training of networks, sections of on_device.py: `python benchmarks/on_device_networks.py resnet50 [--compiled]`.

With `--predict` what trained networks compute for images, without gradients.

chainlite (with its own kernels and by cuDNN, step by step and as CUDA graphs) and PyTorch (channels last, eager or
compiled) start from the same weights and see the same batches, which lie on the device; each step sees another batch
than the one before. They take turns; the figures are medians. Losses of the first steps are compared.

Sixteen bits: parameters and images of that type on both sides, batch normalization's parameters float32.
"""

import contextlib
import copy
import functools
import itertools
import statistics
import sys

import numpy as np
from inputs import batches
from network_cases import NETWORKS, chainer_network, torch_network
from on_device_sections import as_dtype, set_torch_precision, torch_on_device
from on_device_tools import TINY, cupy_clock, emit, measure, seconds_left, torch_clock

import chainlite as chainer
import chainlite.functions as F
import chainlite.links as L
from chainlite.backends import cuda
from chainlite.training.updaters import StandardUpdater

RATE, MOMENTUM = 1e-4, 0.9
BATCHES = 4  # that go round
LENET5 = [
    *[('conv', 6, 5, 1, 2), ('relu',), ('pool', 2, 2), ('conv', 16, 5, 1, 0), ('relu',), ('pool', 2, 2)],
    *[('fc', 120), ('relu',), ('fc', 84), ('relu',), ('fc', 10)],
]
NETWORKS = {**NETWORKS, 'lenet5': (LENET5, (1, 28, 28), 10)}
SIXTEEN = [('float16', None), ('bfloat16', None)]
ALL = [('float32', None), ('float32', 'tf32'), *SIXTEEN]
# name: (batch, (dtype, mode)) in the order in which they are measured, as long as there is time
CASES = {
    'mlp': [(100, ('float32', None))],
    'lenet5': [(64, ('float32', None)), (64, ('float32', 'tf32'))],
    'resnet20': [(128, kind) for kind in ALL],
    'resnet50': [
        *[(n, kind) for n in (64, 256) for kind in (('float16', None), ('float32', 'tf32'))],
        *[(n, kind) for n in (64, 256) for kind in (('bfloat16', None), ('float32', None))],
    ],
    'vgg16': [(32, ('float16', None)), (32, ('float32', 'tf32'))],
    'googlenet': [(32, ('float16', None)), (32, ('float32', 'tf32'))],
}
PREDICTIONS = [(n, kind) for kind in (('float16', None), ('float32', None)) for n in (1, 16)]  # of each network
COMPILED = {'resnet50': [(64, ('float16', None)), (64, ('float32', 'tf32'))]}
VARIANTS = {  # use_cudnn, autotune, graph
    'chainlite': ('never', False, False),
    'chainlite, graph': ('never', False, True),
    'chainlite, cuDNN': ('always', False, False),
    'chainlite, cuDNN, graph': ('always', False, True),
    'chainlite, cuDNN, tuned': ('always', True, False),
}
PREDICTING = ['chainlite', 'chainlite, graph', 'chainlite, cuDNN']  # those of them that predict
TUNED = [('resnet50', 64, 'float16'), ('resnet20', 128, 'float32')]  # it takes long
LARGE = 256  # images, from which on graphs, which keep a step's memory each, are measured once


@functools.cache
def _network(make, library, name):
    """A network of a table; to be copied."""
    return make(library, *NETWORKS[name][:2])


class _Batches(chainer.dataset.Iterator):
    """Gives arrays that lie on the device, round and round."""

    epoch, epoch_detail, is_new_epoch = 0, 0.0, False

    def __init__(self, pool):
        self._pool = itertools.cycle(pool)

    def __next__(self):
        return next(self._pool)


class Chainlite:
    """Steps of training by chainlite."""

    def __init__(self, name, pool, dtype, mode, use_cudnn, autotune, graph):
        cupy = cuda.cupy
        self.settings = dict(use_cudnn=use_cudnn, compute_mode=mode, autotune=autotune)
        cupy.get_default_memory_pool().free_all_blocks()
        self._used = cupy.get_default_memory_pool().total_bytes()
        model = copy.deepcopy(_network(chainer_network, chainer, name))
        for link in model.links():
            if not isinstance(link, L.BatchNormalization):
                for param in link.params(include_uninit=False):
                    if getattr(link, param.name, None) is param:
                        param.array = param.array.astype(as_dtype(dtype))
        model.to_device('@cupy:0')
        self._begin(model, [(cupy.asarray(x).astype(as_dtype(dtype)), cupy.asarray(t)) for x, t in pool], graph)
        self.clock = cupy_clock()

    def _begin(self, model, pool, graph):
        optimizer = chainer.optimizers.MomentumSGD(RATE, MOMENTUM).setup(model)

        def loss_of(x, t):
            loss = F.softmax_cross_entropy(model(x), t)
            chainer.report({'loss': loss})
            return loss

        self._updater = StandardUpdater(
            _Batches(pool), optimizer, converter=_as_they_are, loss_func=loss_of, graph=graph
        )
        self._reporter, self._observation = chainer.Reporter(), {}

    def step(self):
        with self._reporter.scope(self._observation):
            self._updater.update()

    def loss(self):
        self.step()
        return float(chainer.as_array(self._observation['loss']))

    def run(self, number):
        with _all_of(self.settings):
            return measure(self.clock, self.step, number)

    def losses(self, number):
        with _all_of(self.settings):
            return [self.loss() for _ in range(number)]

    def memory(self):
        """Bytes taken from the device."""
        return cuda.cupy.get_default_memory_pool().total_bytes() - self._used

    def close(self):
        vars(self).clear()
        cuda.cupy.get_default_memory_pool().free_all_blocks()


class ChainlitePredicts(Chainlite):
    """Predictions by chainlite."""

    def _begin(self, model, pool, graph):
        self.settings.update(train=False, enable_backprop=False)
        self._model = _Static(model) if graph else model
        self._batches = itertools.cycle([(chainer.Variable(x), t) for x, t in pool])

    def step(self):
        self._model(next(self._batches)[0])

    def loss(self):
        x, t = next(self._batches)
        return float(chainer.as_array(F.softmax_cross_entropy(self._model(x), t)))


class _Static(chainer.Chain):
    """A model whose forward pass is captured as a graph."""

    def __init__(self, model):
        super().__init__()
        with self.init_scope():
            self.model = model

    @chainer.static_graph
    def forward(self, x):
        return self.model(x)


def _as_they_are(batch, device=None, padding=None):
    return batch


def _all_of(settings):
    stack = contextlib.ExitStack()
    for name, value in settings.items():
        stack.enter_context(chainer.using_config(name, value))
    return stack


class Torch:
    """Steps or predictions by PyTorch."""

    def __init__(self, torch, where, name, pool, dtype, mode, compiled, predict):
        set_torch_precision(torch, mode)
        self.torch, self.cuda = torch, where == 'cuda'
        if self.cuda:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        kind = getattr(torch, dtype)
        model = copy.deepcopy(_network(torch_network, torch, name)).to(where, kind)
        model = model.to(memory_format=torch.channels_last)
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.float()
        optimizer = torch.optim.SGD(model.parameters(), lr=RATE, momentum=MOMENTUM)
        if compiled:
            model = torch.compile(model)

        def on_device(x):
            x = torch.from_numpy(x).to(where, kind)
            return x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x

        batches = itertools.cycle([(on_device(x), torch.from_numpy(t).long().to(where)) for x, t in pool])

        def step():
            x, t = next(batches)
            loss = torch.nn.functional.cross_entropy(model(x), t)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            return loss.detach()

        def prediction():
            with torch.inference_mode():
                model(next(batches)[0])

        def loss_of_prediction():
            x, t = next(batches)
            with torch.inference_mode():
                return torch.nn.functional.cross_entropy(model(x), t)

        if predict:
            model.eval()
        self._step, self._loss = (prediction, loss_of_prediction) if predict else (step, step)
        self.clock = torch_clock(torch)

    def run(self, number):
        return measure(self.clock, self._step, number)

    def losses(self, number):
        return [float(self._loss()) for _ in range(number)]

    def memory(self):
        return self.torch.cuda.max_memory_reserved() if self.cuda else None

    def close(self):
        del self._step, self._loss
        if self.cuda:
            self.torch.cuda.empty_cache()


def runners(name, batch, dtype, mode, compiled, predict):
    """{name: function that makes it}."""
    _, shape, classes = NETWORKS[name]
    pool = batches(batch, *shape, classes=classes, number=BATCHES)
    torch, where = torch_on_device()
    found = {}
    if torch is not None:
        how = 'PyTorch, compiled' if compiled else 'PyTorch'
        found[how] = lambda: Torch(torch, where, name, pool, dtype, mode, compiled, predict)
    for variant, how in VARIANTS.items():
        use_cudnn, autotune, graph = how
        if (
            predict
            and variant not in PREDICTING
            or use_cudnn == 'always'
            and not cuda.cudnn_enabled
            or autotune
            and (name, batch, dtype) not in TUNED
            or graph
            and batch >= LARGE
            and cuda.cudnn_enabled
            and use_cudnn == 'never'
        ):
            continue
        make = ChainlitePredicts if predict else Chainlite
        found[variant] = lambda make=make, how=how: make(name, pool, dtype, mode, *how)
    return found


def compare(name, batch, dtype, mode, compiled, predict):
    """Emits a row for each of the variants of a case."""
    labels = dict(network=name, batch=batch, dtype=dtype, mode=mode)
    checked, warm_up, rounds, target = (2, 3, 2, 0) if TINY else (3, 6, 7, 150)
    alive, numbers, results = {}, {}, {}

    def failed(variant, error):
        results[variant]['error'] = f'{type(error).__name__}: {error}'[:600]
        alive.pop(variant, None)

    for variant, make in runners(name, batch, dtype, mode, compiled, predict).items():
        results[variant] = row = dict(variant=variant, **labels)
        try:
            runner = alive[variant] = make()
            row['losses'] = runner.losses(checked)
            runner.run(warm_up)
            numbers[variant] = max(1, min(50, round(target / runner.run(2))))  # steps for about so many milliseconds
            row['bytes'] = runner.memory()
        except Exception as error:
            failed(variant, error)
    times = {variant: [] for variant in alive}
    for k in range(rounds):
        if k >= 3 and seconds_left() < 8:
            break
        order = list(alive)
        for variant in order if k % 2 else reversed(order):
            try:
                times[variant].append(alive[variant].run(numbers[variant]))
            except Exception as error:
                failed(variant, error)
    reference = next((r['losses'] for v, r in results.items() if v.startswith('PyTorch') and 'losses' in r), None)
    ours = statistics.median(times['chainlite']) if times.get('chainlite') else None
    for variant, row in results.items():
        if times.get(variant):
            row['ms'] = statistics.median(times[variant])
            row['spread'] = (max(times[variant]) - min(times[variant])) / row['ms']
            row['images_per_s'] = batch / row['ms'] * 1e3
            row['of_chainlite'] = ours and ours / row['ms']
        if reference and 'losses' in row:
            row['loss_difference'] = float(np.max(np.abs(np.subtract(row['losses'], reference))))
        emit(**row)
    for runner in alive.values():
        runner.close()


def main():
    compiled, predict = '--compiled' in sys.argv, '--predict' in sys.argv
    cuda.set_max_workspace_size(1 << 30)
    table = {'mlp': [(2, ('float32', None))]} if TINY else COMPILED if compiled else CASES
    for name in ['mlp'] if TINY else [word for word in sys.argv[1:] if not word.startswith('--')]:
        for batch, (dtype, mode) in PREDICTIONS if predict and not TINY else table[name]:
            if seconds_left() < 12:
                emit(network=name, batch=batch, dtype=dtype, mode=mode, error='there was no time')
            else:
                compare(name, batch, dtype, mode, compiled, predict)


if __name__ == '__main__':
    main()
