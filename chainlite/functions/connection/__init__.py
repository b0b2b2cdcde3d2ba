# Convolution and transposed convolution are each other's gradients: importing one must tie it to the other.
from chainlite.functions.connection import deconvolution_2d, deconvolution_nd  # noqa: F401
from chainlite.functions._family import modules_of

__getattr__ = modules_of(__name__)
