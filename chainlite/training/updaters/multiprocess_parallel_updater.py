"""Data-parallel training with one process and one GPU for each part of a batch, by NCCL."""

import multiprocessing

import numpy

from chainlite import backend
from chainlite.backends import cuda
from chainlite.dataset import convert
from chainlite.reporter import Reporter
from chainlite.training.updaters.standard_updater import StandardUpdater


class MultiprocessParallelUpdater(StandardUpdater):
    """A StandardUpdater that runs a copy of the model on each of several GPUs in a process of its own.

    Gradients are summed over the processes by NCCL; each applies the same update. Only the first process, which is
    the caller's, reports.

    Args:
        iterators: One iterator per device, each over its part of the dataset.
        optimizer: Optimizer that is set up.
        converter: Converter, as for :class:`StandardUpdater`.
        devices: Sequence of GPUs, or a dictionary of them with one named ``main``, which becomes the first.
        auto_new_epoch: As for :class:`StandardUpdater`.

    Raises:
        Exception: if NCCL is not there.
        ValueError: if there are not as many iterators as devices.
    """

    def __init__(self, iterators, optimizer, converter=convert.concat_examples, devices=None, auto_new_epoch=True):
        if not MultiprocessParallelUpdater.available():
            raise Exception(
                'NCCL is not enabled. MultiprocessParallelUpdater requires NCCL.\n'
                'Please reinstall CuPy after you install NCCL.'
            )
        if isinstance(devices, dict):
            devices = [devices['main'], *(device for name, device in sorted(devices.items()) if name != 'main')]
        self._mpu_devices = [backend.get_device(device) for device in devices]
        if len(iterators) != len(self._mpu_devices):
            raise ValueError(f'{len(iterators)} iterators for {len(self._mpu_devices)} devices')
        super().__init__(iterators[0], optimizer, converter, auto_new_epoch=auto_new_epoch)
        self._mpu_iterators = iterators
        self._model = optimizer.target
        self._initialized = False
        self._pipes = []
        self._workers = []
        self.comm = None

    @staticmethod
    def available():
        """Whether CuPy has NCCL here."""
        if not cuda.available:
            return False
        try:
            from cupy.cuda import nccl
        except ImportError:
            return False
        return bool(getattr(nccl, 'available', True))

    def _send_message(self, message):
        for pipe in self._pipes:
            pipe.send(message)

    def setup_workers(self):
        """Starts the other processes; the first update does so."""
        if self._initialized:
            return
        self._initialized = True
        from cupy.cuda import nccl

        self._model.cleargrads()
        for i, device in enumerate(self._mpu_devices[1:], 1):
            pipe, other = multiprocessing.Pipe()
            worker = _Worker(
                i,
                len(self._mpu_devices),
                other,
                self._model,
                self._optimizers['main'],
                self._mpu_iterators[i],
                self.converter,
                device,
            )
            worker.start()
            self._workers.append(worker)
            self._pipes.append(pipe)
        with backend.using_device(self._mpu_devices[0]):
            self._model.to_device(self._mpu_devices[0])
            if len(self._mpu_devices) > 1:
                identity = nccl.get_unique_id()
                self._send_message(('set comm_id', identity))
                self.comm = nccl.NcclCommunicator(len(self._mpu_devices), identity, 0)

    def update_core(self):
        self.setup_workers()
        self._send_message(('update', None))
        iterator = self._iterators['main']
        optimizer = self._optimizers['main']
        with backend.using_device(self._mpu_devices[0]):
            _backward(self._model, iterator, self.converter, self._mpu_devices[0])
            if self.comm is not None:
                _sum_grads(self._model, self.comm)
            optimizer.update()
            if self.comm is not None:
                _broadcast_params(self._model, self.comm)
        if self.auto_new_epoch and iterator.is_new_epoch:
            optimizer.new_epoch(auto=True)

    def finalize(self):
        """Ends the other processes."""
        self._send_message(('finalize', None))
        for worker in self._workers:
            worker.join()
        self._workers, self._pipes = [], []
        super().finalize()


class _Worker(multiprocessing.Process):
    """Computes gradients on one GPU, and takes over the parameters of the first process."""

    def __init__(self, rank, size, pipe, model, optimizer, iterator, converter, device):
        super().__init__(daemon=True)
        self._rank = rank
        self._size = size
        self._pipe = pipe
        self._model = model
        self._iterator = iterator
        self._converter = converter
        self._worker_device = device
        self._optimizer = optimizer

    def run(self):
        from cupy.cuda import nccl

        self._worker_device.use()
        self._model.to_device(self._worker_device)
        reporter = Reporter()
        reporter.add_observer('main', self._model)
        reporter.add_observers('main', self._model.namedlinks(skipself=True))
        comm = None
        while True:
            job, data = self._pipe.recv()
            if job == 'finalize':
                return
            if job == 'set comm_id':
                comm = nccl.NcclCommunicator(self._size, data, self._rank)
                continue
            with reporter.scope({}):
                _backward(self._model, self._iterator, self._converter, self._worker_device)
            _sum_grads(self._model, comm)
            scatter_params(self._model, _broadcast_params(self._model, comm))


def _backward(model, iterator, converter, device):
    args, kwargs = convert._arguments(converter, iterator.next(), device)
    model.cleargrads()
    model(*args, **kwargs).backward()


def _sum_grads(model, comm):
    from cupy.cuda import nccl

    grads = gather_grads(model)
    comm.allReduce(grads.data.ptr, grads.data.ptr, grads.size, _nccl_type(grads), nccl.NCCL_SUM, cuda.Stream.null.ptr)
    scatter_grads(model, grads)


def _broadcast_params(model, comm):
    """Returns the parameters of the first process, one after the other."""
    params = gather_params(model)
    comm.bcast(params.data.ptr, params.size, _nccl_type(params), 0, cuda.Stream.null.ptr)
    return params


def _nccl_type(array):
    from cupy.cuda import nccl

    return {'e': nccl.NCCL_HALF, 'f': nccl.NCCL_FLOAT, 'd': nccl.NCCL_DOUBLE}[array.dtype.char]


def size_num_grads(link):
    """Returns the total size of the parameters that have gradients, and their number."""
    sizes = [param.size for param in link.params() if param.size and param.grad is not None]
    return sum(sizes), len(sizes)


def _arrays(link, name):
    """Yields the arrays called ``name`` of the parameters, those that are there, in the order of their paths."""
    for _, param in sorted(link.namedparams()):
        array = getattr(param, name)
        if array is not None:
            yield array


def _gather(link, name):
    return link.xp.concatenate([array.ravel() for array in _arrays(link, name)])


def _scatter(link, flat, name):
    offset, arrays = 0, list(_arrays(link, name))
    if not arrays:  # there are no gradients yet
        arrays = [param.xp.empty_like(param.array) for _, param in sorted(link.namedparams())]
        for (_, param), array in zip(sorted(link.namedparams()), arrays):
            param.grad = array
    for array in arrays:
        array[...] = flat[offset : offset + array.size].reshape(array.shape)
        offset += array.size


def gather_grads(link):
    """Returns all gradients of a link on a GPU as one flat array.

    Raises:
        RuntimeError: if the link is on the CPU.
    """
    if link.xp is numpy:
        raise RuntimeError('gather_grads works only on GPU.')
    return _gather(link, 'grad')


def gather_params(link):
    """Returns all parameters of a link on a GPU as one flat array.

    Raises:
        RuntimeError: if the link is on the CPU.
    """
    if link.xp is numpy:
        raise RuntimeError('gather_params works only on GPU.')
    return _gather(link, 'array')


def scatter_grads(link, array):
    """Sets all gradients of a link from the array that :func:`gather_grads` returns."""
    _scatter(link, array, 'grad')


def scatter_params(link, array):
    """Sets all parameters of a link from the array that :func:`gather_params` returns."""
    _scatter(link, array, 'array')
