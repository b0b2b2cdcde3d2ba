"""Saving an object and loading another from it."""

import os
import tempfile

from chainlite import serializers


def save_and_load(src, dst, filename, saver, loader):
    """Saves by ``saver(name, src)`` and loads by ``loader(name, dst)``, in a folder that is removed."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, filename)
        saver(path, src)
        loader(path, dst)


def save_and_load_npz(src, dst):
    """:func:`save_and_load` by way of an npz file."""
    save_and_load(src, dst, 'tmp.npz', serializers.save_npz, serializers.load_npz)


def save_and_load_hdf5(src, dst):
    """:func:`save_and_load` by way of an HDF5 file."""
    save_and_load(src, dst, 'tmp.h5', serializers.save_hdf5, serializers.load_hdf5)
