import warnings

from chainlite.link import Chain, Link
from chainlite.links.caffe import _layers
from chainlite.links.caffe._reader import CaffeModelError, read_net
from chainlite.links.caffe.protobuf3 import caffe_pb2 as caffe_pb  # noqa: F401  (part of this module's interface)
from chainlite.utils.argument import parse_kwargs, removed
from chainlite.variable import as_variable


class CaffeFunction(Chain):
    """A trained network of Caffe.

    The layers that have parameters become child links of the same names, so that a caffemodel can be saved as npz,
    moved to a device and trained like any other model. Batch normalization and dropout follow ``config.train``. Data
    layers are left out: their outputs are the inputs of this link, by name. A layer of a type that is not known is left
    out with a warning, and asking for what needs it is an error.

    Sizes are rounded as Caffe does it: pooling covers all of the image, and an average counts the padding, but not what
    lies beyond it.

    Args:
        model_path: Path of the caffemodel, a binary file of either format (``layer`` or, of old, ``layers``).

    Attributes:
        layers: List of (name, names of inputs, names of outputs), in the order of computation.
        forwards: Dictionary from the names of layers to functions of Variables.
        split_map: Dictionary from the outputs of Split layers to what they are copies of.

    Raises:
        CaffeModelError: (a ValueError and a RuntimeError) if the file is damaged or holds what can not be run. It names
            the file, the layer, its position and its type.
        ImportError: if protobuf is not there.

    See: Jia et al., Caffe: Convolutional Architecture for Fast Feature Embedding, https://arxiv.org/abs/1408.5093
    """

    def __init__(self, model_path):
        super().__init__()
        net = read_net(model_path)
        self.forwards = {}
        self.split_map = {}
        self.layers = []
        self._skipped = {}  # output: the layer that would compute it
        layers = net.layer or net.layers
        for position, layer in enumerate(layers, 1):
            where = f'layer {position} of {len(layers)}'
            try:
                kind = _layers.type_of(layer)
                where = f'{where}, "{layer.name}" of type {kind}'
                self._add_layer(layer, kind, where)
            except (CaffeModelError, UnicodeDecodeError) as e:  # some versions of protobuf decode text here
                raise CaffeModelError(f'{e} ({model_path}: {where})') from None

    def _add_layer(self, layer, kind, where):
        bottoms, tops = list(layer.bottom), list(layer.top)
        if not all(isinstance(name, str) for name in (layer.name, kind, *bottoms, *tops)):
            raise CaffeModelError('its names are no text')
        if kind == 'Split':
            if len(bottoms) != 1:
                raise CaffeModelError(f'it has {len(bottoms)} inputs')
            self.split_map.update({top: bottoms[0] for top in tops if top != bottoms[0]})
            return
        if kind in _layers.SILENT:
            return
        if kind not in _layers.SETUPS:
            self._skipped.update(dict.fromkeys(tops, where))
            warnings.warn(
                f'Skip the layer "{layer.name}", since CaffeFunction does not support {kind} layer ({where})',
                stacklevel=3,
            )
            return
        if not bottoms:
            raise CaffeModelError('it has no inputs')
        forward = _layers.SETUPS[kind](layer)
        link, options = forward if isinstance(forward, tuple) else (forward, {})
        if isinstance(link, Link):
            self._add_child(layer.name, link)
            forward = _layers.ChildCall(self, layer.name, **options)
        self.forwards[layer.name] = forward
        self.layers.append((layer.name, bottoms, tops))

    def _add_child(self, name, link):
        if hasattr(self, name):
            owner = 'another layer' if name in self._children else 'an attribute of links'
            raise CaffeModelError(f'its name is that of {owner}')
        with self.init_scope():
            setattr(self, name, link)

    def copy(self, mode='share'):
        ret = super().copy(mode)
        ret.forwards = {
            name: forward.of(ret) if isinstance(forward, _layers.ChildCall) else forward
            for name, forward in self.forwards.items()
        }
        return ret

    def forward(self, inputs, outputs, disable=(), **kwargs):
        """Computes some blobs of the network from others; of the layers, only those that it takes are run.

        Args:
            inputs: Dictionary from names of blobs to Variables or arrays.
            outputs: Iterable of names of the blobs to compute.
            disable: Iterable of names of layers to leave out, which is of use for those that change a blob in place.

        Returns:
            Tuple of Variables, one for each of ``outputs``.

        Raises:
            KeyError: if something can not be computed; says why.
        """
        parse_kwargs(kwargs, **removed('train'))
        outputs = list(outputs)
        blobs = {name: as_variable(x) for name, x in inputs.items()}
        missing = {}  # blob: the inputs that it would take
        for name, bottoms, tops in self._needed(outputs, set(disable)):
            xs = [self._find(blobs, bottom) for bottom in bottoms]
            if any(x is None for x in xs):
                lacking = [bottom for bottom, x in zip(bottoms, xs) if x is None]
                for top in tops:
                    missing.setdefault(top, lacking)
                continue
            ys = self.forwards[name](*xs)
            blobs.update(zip(tops, map(as_variable, ys if isinstance(ys, tuple | list) else (ys,))))
        found = [self._find(blobs, output) for output in outputs]
        for output, y in zip(outputs, found):
            if y is None:
                raise KeyError(self._why_not(output, missing))
        return tuple(found)

    def _sources(self, blob):
        """The blob, and what it is a copy of."""
        names = [blob]
        while names[-1] in self.split_map and self.split_map[names[-1]] not in names:
            names.append(self.split_map[names[-1]])
        return names

    def _find(self, blobs, name):
        return next((blobs[source] for source in self._sources(name) if source in blobs), None)

    def _needed(self, outputs, disable):
        needed = {source for output in outputs for source in self._sources(output)}
        found = []
        for layer in reversed(self.layers):
            name, bottoms, tops = layer
            if name not in disable and not needed.isdisjoint(tops):
                found.append(layer)
                needed.update(source for bottom in bottoms for source in self._sources(bottom))
        return found[::-1]

    def _why_not(self, blob, missing):
        """Names what is at the bottom of a blob's not being there."""
        name = blob
        for _ in range(len(missing) + 1):
            lacking = next((missing[source] for source in self._sources(name) if source in missing), None)
            if lacking is None:
                break
            name = lacking[0]
        name = self._sources(name)[-1]
        why = f'{blob!r} can not be computed' + (f' without {name!r}' if name != blob else '')
        if name in self._skipped:
            return f'{why}, which takes a layer that is not supported: {self._skipped[name]}'
        return f'{why}, which is neither an input nor the output of a layer that is not disabled'
