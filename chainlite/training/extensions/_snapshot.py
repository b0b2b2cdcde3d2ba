"""Snapshots of a training, from which it can go on."""

import contextlib
import math
import os
import re
import string
import warnings

from chainlite.serializers import npz
from chainlite.training.extension import Extension
from chainlite.training.extensions import snapshot_writers
from chainlite.utils import argument


def snapshot_object(target, filename, savefun=None, **kwargs):
    """Returns an extension that saves one object, such as the model, in each epoch.

    Args:
        target: Object with ``serialize``.
        filename: Name of the file, or a format string or a function of the trainer that gives it.
        savefun, kwargs: As for :func:`snapshot`.
    """
    return snapshot(target=target, filename=filename, savefun=savefun, **kwargs)


def snapshot(savefun=None, filename='snapshot_iter_{.updater.iteration}', **kwargs):
    """Returns an extension that saves the trainer, in each epoch if ``Trainer.extend`` is not told otherwise.

    A training that is interrupted, in whatever way, and started again with ``snapshot(autoload=True)`` goes on from the
    last snapshot and ends with the same weights, bit for bit, as one that is not. For this the snapshot is taken after
    all other extensions of the iteration, whatever their priority, and has the states of the random generators.
    Bit-equality is not promised

    - on GPUs, if CuPy itself draws random numbers (functions such as dropout do not) or sums are not in a fixed order;
    - with triggers or extensions that depend on time, or that have a state and do not serialize it, such as a function
      that changes a hyperparameter;
    - with random generators that neither an iterator's order sampler owns nor are the global ones of NumPy or Python;
    - with another number of threads or another machine, where the linear algebra library may sum in another order;
    - if ``Trainer.extend`` gives this extension a priority: it is then called in its place, and what later extensions
      do in the iteration is not in the snapshot; nor is the rest of one that fails, with ``snapshot_on_error``.

    Args:
        savefun: Function ``f(path, target)`` that saves an object; ``save_npz`` if it is None.
        filename: Format string or function of the trainer that gives the name of the file in its ``out``.
        target: Object to save; None for the trainer.
        condition: Function without arguments that returns whether to save; None for always.
        writer: Writer of :mod:`~chainlite.training.extensions.snapshot_writers`, instead of ``savefun``.
        snapshot_on_error: Whether to save also when an exception ends the training.
        n_retains: Number of the newest files to keep; the others are removed. Not positive: all.
        autoload: Whether to load the newest complete file there is when the training starts. Broken ones are skipped
            with a warning. The newest is the one last written: copies of a folder must keep the times (``cp -p``).

    Raises:
        TypeError: if there are both ``savefun`` and ``writer``.
    """
    if 'num_retain' in kwargs:
        warnings.warn('Argument `num_retain` is deprecated. Please use `n_retains` instead', DeprecationWarning)
        kwargs['n_retains'] = kwargs.pop('num_retain')
    target, condition, writer, snapshot_on_error, n_retains, autoload = argument.parse_kwargs(
        kwargs,
        ('target', None),
        ('condition', None),
        ('writer', None),
        ('snapshot_on_error', False),
        ('n_retains', -1),
        ('autoload', False),
    )
    if savefun is not None and writer is not None:
        raise TypeError('savefun and writer arguments cannot be specified together.')
    if writer is None:
        writer = snapshot_writers.SimpleWriter(savefun=savefun or npz.save_npz)
    return _Snapshot(target, condition, writer, filename, snapshot_on_error, n_retains, autoload)


class _Snapshot(Extension):
    """The extension that :func:`snapshot` makes."""

    trigger = 1, 'epoch'
    priority = -100

    def __init__(
        self,
        target=None,
        condition=None,
        writer=None,
        filename='snapshot_iter_{.updater.iteration}',
        snapshot_on_error=False,
        n_retains=-1,
        autoload=False,
    ):
        if callable(filename) and (autoload or n_retains > 0):
            raise TypeError('autoload and n_retains need a format string as the filename, by which files are found')
        self._target = target
        self.condition = _always_true if condition is None else condition
        self.writer = snapshot_writers.SimpleWriter() if writer is None else writer
        self.filename = filename
        self._snapshot_on_error = snapshot_on_error
        self.n_retains = n_retains
        self.autoload = autoload
        if target is None:
            self.priority = -math.inf  # after all others: their state is in the snapshot

    def initialize(self, trainer):
        if self.n_retains > 0 and hasattr(self.writer, '_add_cleanup_hook'):
            self.writer._add_cleanup_hook(_Cleanup(self.filename, trainer.out, self.n_retains))
        if self.autoload:
            self._load_latest(trainer)

    def _load_latest(self, trainer):
        target = trainer if self._target is None else self._target
        for _, name in reversed(_find_snapshot_files(self.filename, trainer.out)):
            path = os.path.join(trainer.out, name)
            try:
                _load(path, target)
            except _broken_errors() as e:
                warnings.warn(f'The snapshot {path} is broken or incomplete and is skipped: {e}')
            else:
                print(f'Snapshot loaded from {path}')
                return

    def __call__(self, trainer):
        if self.condition():
            self._make_snapshot(trainer)

    def on_error(self, trainer, exc, tb):
        if self._snapshot_on_error:
            self._make_snapshot(trainer)

    def latest(self, trainer):
        """Path of the last snapshot that was written; None if there is none."""
        if callable(self.filename):
            return None
        files = _find_snapshot_files(self.filename, trainer.out)
        return os.path.join(trainer.out, files[-1][1]) if files else None

    def _make_snapshot(self, trainer):
        entries = snapshot_writers.Entries(npz.serialize(trainer if self._target is None else self._target))
        name = self.filename(trainer) if callable(self.filename) else self.filename.format(trainer)
        self.writer(name, trainer.out, entries)

    def finalize(self):
        if hasattr(self.writer, 'finalize'):
            self.writer.finalize()


class _Cleanup:
    """Removes the snapshots that are no longer wanted; an object, as writers in processes need to pickle it."""

    def __init__(self, fmt, path, n_retains):
        self._arguments = fmt, path, n_retains

    def __call__(self):
        for name in list(_find_stale_snapshots(*self._arguments)):
            with contextlib.suppress(FileNotFoundError):  # another training in this folder may have removed it
                os.remove(os.path.join(self._arguments[1], name))


def _always_true():
    return True


def _is_hdf5(path):
    with open(path, 'rb') as f:
        return f.read(4) == b'\x89HDF'


def _load(path, target):
    if _is_hdf5(path):
        from chainlite.serializers.hdf5 import load_hdf5

        load_hdf5(path, target)
    else:
        npz.load_npz(path, target)


def _broken_errors():
    from zipfile import BadZipFile

    return BadZipFile, OSError, EOFError


def _find_snapshot_files(fmt, path):
    """Returns the files in a folder whose name fits a format string: pairs of their time and name, oldest first."""
    parts = string.Formatter().parse(fmt)
    pattern = re.compile(''.join(re.escape(text) + ('' if field is None else '.+') for text, field, _, _ in parts))
    found = []
    if not os.path.isdir(path):
        return found
    for name in os.listdir(path):
        temporary = name.startswith('.') and name.endswith('.tmp')  # what a killed process has left
        if not temporary and pattern.fullmatch(name):
            with contextlib.suppress(FileNotFoundError):  # a writer in the background may just remove it
                found.append((os.stat(os.path.join(path, name)).st_mtime_ns, name))
    return sorted(found, key=lambda item: (item[0], _numbers_in(item[1])))


def _numbers_in(name):
    """By this, names written in one tick of the clock sort as their numbers do: 9 before 10, 0.25 before 0.5."""
    return [float(number) for number in re.findall(r'\d+(?:\.\d+)?', name)]


def _find_latest_snapshot(fmt, path):
    """Returns the name of the newest file; None if there is none."""
    files = _find_snapshot_files(fmt, path)
    return files[-1][1] if files else None


def _find_stale_snapshots(fmt, path, n_retains, **kwargs):
    """Yields the names of all but the newest ``n_retains`` files, oldest first."""
    (n_retains,) = argument.parse_kwargs(kwargs, ('num_retain', n_retains))
    files = _find_snapshot_files(fmt, path)
    for _, name in files[: max(len(files) - n_retains, 0)]:
        yield name
