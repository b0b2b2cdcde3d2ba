"""Saving and loading of models, optimizers and trainers: NumPy's npz files, and HDF5.

Both write what Chainer reads and read what Chainer wrote, since version 1. A named file is replaced as a whole or not
at all. Loading never unpickles; if a file is damaged, foreign or does not fit, one error names it and the entry, and
the model stays as it was.
"""

from chainlite.serializers.hdf5 import HDF5Deserializer, HDF5Serializer, load_hdf5, save_hdf5
from chainlite.serializers.npz import DictionarySerializer, NpzDeserializer, load_npz, save_npz
