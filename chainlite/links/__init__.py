"""Links: layers with parameters, and whole models. `import chainlite.links as L`."""

from chainlite.links.connection.bias import Bias
from chainlite.links.connection.convolution_2d import Convolution2D
from chainlite.links.connection.convolution_nd import Convolution1D, Convolution3D, ConvolutionND
from chainlite.links.connection.deconvolution_2d import Deconvolution2D
from chainlite.links.connection.deconvolution_nd import Deconvolution1D, Deconvolution3D, DeconvolutionND
from chainlite.links.connection.highway import Highway
from chainlite.links.connection.inception import Inception
from chainlite.links.connection.inceptionbn import InceptionBN
from chainlite.links.connection.linear import Linear
from chainlite.links.connection.mlp_convolution_2d import MLPConvolution2D
from chainlite.links.connection.parameter import Parameter
from chainlite.links.connection.scale import Scale
from chainlite.links.model.classifier import Classifier
from chainlite.links.normalization.batch_normalization import BatchNormalization
