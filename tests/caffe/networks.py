"""Small networks in Caffe's format, and what OpenCV computes with them."""

import cv2
import numpy as np
from google.protobuf import text_format

from chainlite.links.caffe.protobuf3 import caffe_pb2


def blob(array):
    """A BlobProto of an array."""
    proto = caffe_pb2.BlobProto(data=np.asarray(array, np.float32).ravel().tolist())
    proto.shape.dim.extend(np.shape(array))
    return proto


def network(text, weights=()):
    """A NetParameter of prototxt; `weights` is {layer: arrays}."""
    net = text_format.Parse(text, caffe_pb2.NetParameter())
    for layer in net.layer:
        layer.blobs.extend(map(blob, dict(weights).get(layer.name, ())))
    return net


def save(net, path):
    """Writes a network (or its bytes) to a caffemodel and returns its path."""
    path.write_bytes(net if isinstance(net, bytes) else net.SerializeToString())
    return str(path)


def inputs_text(**shapes):
    """prototxt of the inputs."""
    parts = []
    for name, shape in shapes.items():
        dims = ' '.join(f'dim: {n}' for n in shape)
        parts.append(f'layer {{ name: "{name}" type: "Input" top: "{name}" input_param {{ shape {{ {dims} }} }} }}\n')
    return ''.join(parts)


def run_opencv(prototxt, caffemodel, inputs, outputs):
    """What OpenCV computes.

    Args:
        prototxt: Text of the network.
        caffemodel: Bytes of its weights, or the path of the file.
        inputs: {blob: array}.
        outputs: Names of *layers*.
    """
    if isinstance(caffemodel, str):
        with open(caffemodel, 'rb') as f:
            caffemodel = f.read()
    net = cv2.dnn.readNetFromCaffe(*(np.frombuffer(content, np.uint8) for content in (prototxt.encode(), caffemodel)))
    for name, x in inputs.items():
        net.setInput(x, name)
    return net.forward(list(outputs))
