"""A model and its optimizer, made alike with Chainer and with chainlite, and files of them that Chainer wrote.

python tests/serializers/samples.py write       # under Chainer 7.8.1: makes the files in chainer_7_8_1/
python tests/serializers/samples.py read FOLDER # under Chainer 7.8.1: loads model.npz ... that chainlite wrote there
"""

import pathlib
import sys

import numpy

HERE = pathlib.Path(__file__).parent / 'chainer_7_8_1'


def make_model(chainer, lazy=True):
    """A chain with every kind of child and persistent value; the link `lazy` has no shape yet."""
    L = chainer.links

    class Model(chainer.Chain):
        def __init__(self):
            super().__init__()
            with self.init_scope():
                self.l1 = L.Linear(3, 2)
                self.bn = L.BatchNormalization(2)
                if lazy:
                    self.lazy = L.Linear(None, 2)
                self.items = chainer.ChainList(L.Linear(2, 1), L.Bias(shape=(2,)))
                self.seq = chainer.Sequential(L.Linear(2, 2), chainer.functions.relu, L.Linear(2, 2, nobias=True))
            self.add_persistent('count', 3)
            self.add_persistent('rate', 0.5)
            self.add_persistent('flag', True)
            self.add_persistent('table', numpy.arange(4, dtype=numpy.int32))
            self.add_persistent('nothing', None)

    return Model()


def fill(model):
    """Gives all arrays values that depend on their names."""
    for name, param in sorted(model.namedparams()):
        if param.array is not None:
            start = sum(name.encode()) % 17
            param.array[...] = start + param.xp.arange(param.array.size).reshape(param.shape) / 8
    model.bn.avg_mean[...] = model.xp.array([0.25, -1])
    model.bn.avg_var[...] = model.xp.array([2, 3])
    model.bn.N = 5


def make_optimizer(chainer, model, steps=2):
    """Adam after some steps with fixed gradients."""
    optimizer = chainer.optimizers.Adam(alpha=0.25).setup(model)
    model.cleargrads()
    for _ in range(steps):
        for param in model.params():
            param.grad = param.xp.full_like(param.array, 0.5)
        optimizer.update()
    optimizer.new_epoch()
    return optimizer


def main(chainer, command, folder=HERE):
    folder = pathlib.Path(folder)
    model, trained = make_model(chainer), make_model(chainer, lazy=False)
    fill(model)
    fill(trained)
    optimizer = make_optimizer(chainer, trained)
    s = chainer.serializers
    if command == 'write':
        for save, suffix in ((s.save_npz, 'npz'), (s.save_hdf5, 'h5')):
            save(str(folder / f'model.{suffix}'), model)
            save(str(folder / f'optimizer.{suffix}'), optimizer)
        return
    expected, expected_states = s.npz.serialize(model), s.npz.serialize(optimizer)
    for load, suffix in ((s.load_npz, 'npz'), (s.load_hdf5, 'h5')):
        model = make_model(chainer)
        load(str(folder / f'model.{suffix}'), model)
        optimizer = make_optimizer(chainer, make_model(chainer, lazy=False), steps=0)
        load(str(folder / f'optimizer.{suffix}'), optimizer)
        for read, wanted in ((model, expected), (optimizer, expected_states)):
            read = s.npz.serialize(read)
            assert read.keys() == wanted.keys(), read.keys() ^ wanted.keys()
            for key in wanted:
                numpy.testing.assert_array_equal(read[key], wanted[key], err_msg=key)
        print(f'{suffix}: {len(expected)} + {len(expected_states)} entries are equal')


if __name__ == '__main__':
    import chainer

    main(chainer, *sys.argv[1:])
