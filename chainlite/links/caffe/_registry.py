"""What the types of layers share: their table, and checked access to what a file says of a layer."""

import math

from chainlite.configuration import using_config
from chainlite.links.caffe._reader import CaffeModelError, array_of, shape_of
from chainlite.links.caffe.protobuf3 import caffe_pb2

LARGEST = 4096  # kernel, stride, ...: a damaged number must not become a request for memory

# Where data come from, and what reports: nothing to run.
SILENT = {
    *('Data', 'ImageData', 'HDF5Data', 'WindowData', 'MemoryData', 'DummyData', 'Input', 'AnnotatedData', 'VideoData'),
    *('HDF5Output', 'Silence'),
}
SETUPS = {}  # from a type to a function of a LayerParameter that returns a link or a function

_V1_SPELLINGS = {
    'RELU': 'ReLU',
    'TANH': 'TanH',
    'ABSVAL': 'AbsVal',
    'ARGMAX': 'ArgMax',
    'SOFTMAX_LOSS': 'SoftmaxWithLoss',
    'HDF5_DATA': 'HDF5Data',
    'HDF5_OUTPUT': 'HDF5Output',
    **{name: name for name in ('LRN', 'BNLL', 'MVN')},
}


def type_of(layer):
    """Returns the name of a layer's type, today's for an old layer (of the list `layers`) too."""
    if not isinstance(layer.type, int):
        return layer.type
    names = caffe_pb2.V1LayerParameter.DESCRIPTOR.enum_types_by_name['LayerType'].values_by_number
    if layer.type not in names:
        return f'number {layer.type}'
    name = names[layer.type].name
    return _V1_SPELLINGS.get(name) or ''.join(word.capitalize() for word in name.split('_'))


def sets_up(*types):
    def register(setup):
        SETUPS.update(dict.fromkeys(types, setup))
        return setup

    return register


def param_of(layer, name, kind):
    """The parameters of a layer, the default ones if it is of an old kind that has none."""
    found = getattr(layer, name, None)
    return caffe_pb2.make_messages(lean=True)[kind]() if found is None else found


def within(value, what, lowest=0, highest=LARGEST):
    if not lowest <= value <= highest:
        raise CaffeModelError(f'{what} is {value}, it should be between {lowest} and {highest}')
    return value


def arrays_of(layer, count):
    if len(layer.blobs) < count:
        raise CaffeModelError(f'it needs {count} arrays of parameters, the file holds {len(layer.blobs)}')
    return layer.blobs


def values_of(blob, what):
    """A list of values, of any shape that holds as many."""
    shape = shape_of(blob)
    n = math.prod(size for size in shape if size) if blob.HasField('shape') else max(shape)
    return array_of(blob, (n,), what)


class ChildCall:
    """The call of a model's child link by its name, which holds for copies of the model too."""

    def __init__(self, model, name, test=False, **options):
        self.model, self.name = model, name
        self._test, self._options = test, options

    def of(self, model):
        """Returns the call of another model's link."""
        return ChildCall(model, self.name, self._test, **self._options)

    def __call__(self, *xs):
        link = self.model[self.name]
        if not self._test:
            return link(*xs, **self._options)
        with using_config('train', False):
            return link(*xs, **self._options)
