"""Links: layers with parameters, and whole models. `import chainlite.links as L`."""

from chainlite.links.activation.maxout import Maxout
from chainlite.links.activation.prelu import PReLU
from chainlite.links.activation.simplified_dropconnect import SimplifiedDropconnect
from chainlite.links.activation.swish import Swish
from chainlite.links.connection.bias import Bias
from chainlite.links.connection.bilinear import Bilinear
from chainlite.links.connection.convolution_2d import Convolution2D
from chainlite.links.connection.convolution_nd import Convolution1D, Convolution3D, ConvolutionND
from chainlite.links.connection.deconvolution_2d import Deconvolution2D
from chainlite.links.connection.deconvolution_nd import Deconvolution1D, Deconvolution3D, DeconvolutionND
from chainlite.links.connection.deformable_convolution_2d import DeformableConvolution2D
from chainlite.links.connection.depthwise_convolution_2d import DepthwiseConvolution2D
from chainlite.links.connection.dilated_convolution_2d import DilatedConvolution2D
from chainlite.links.connection.embed_id import EmbedID
from chainlite.links.connection.highway import Highway
from chainlite.links.connection.inception import Inception
from chainlite.links.connection.inceptionbn import InceptionBN
from chainlite.links.connection.linear import Linear
from chainlite.links.connection.local_convolution_2d import LocalConvolution2D
from chainlite.links.connection.mlp_convolution_2d import MLPConvolution2D
from chainlite.links.connection.parameter import Parameter
from chainlite.links.connection.scale import Scale
from chainlite.links.loss.black_out import BlackOut
from chainlite.links.loss.crf1d import CRF1d
from chainlite.links.loss.hierarchical_softmax import BinaryHierarchicalSoftmax
from chainlite.links.loss.negative_sampling import NegativeSampling
from chainlite.links.model.classifier import Classifier
from chainlite.links.model.vision.googlenet import GoogLeNet
from chainlite.links.model.vision.resnet import ResNet101Layers, ResNet152Layers, ResNet50Layers
from chainlite.links.model.vision.vgg import VGG16Layers, VGG19Layers
from chainlite.links.normalization.batch_normalization import BatchNormalization
from chainlite.links.normalization.batch_renormalization import BatchRenormalization
from chainlite.links.normalization.decorrelated_batch_normalization import DecorrelatedBatchNormalization
from chainlite.links.normalization.group_normalization import GroupNormalization
from chainlite.links.normalization.layer_normalization import LayerNormalization
from chainlite.links.rnn.gru import GRU, StatefulGRU, StatelessGRU
from chainlite.links.rnn.lstm import LSTM, StatelessLSTM
from chainlite.links.rnn.mgu import StatefulMGU, StatelessMGU
from chainlite.links.rnn.n_step_gru import NStepBiGRU, NStepGRU
from chainlite.links.rnn.n_step_lstm import NStepBiLSTM, NStepLSTM
from chainlite.links.rnn.n_step_rnn import NStepBiRNNReLU, NStepBiRNNTanh, NStepRNNReLU, NStepRNNTanh
from chainlite.links.rnn.peephole import StatefulPeepholeLSTM
from chainlite.links.rnn.tree_lstm import ChildSumTreeLSTM, NaryTreeLSTM
from chainlite.links.rnn.zoneoutlstm import StatefulZoneoutLSTM
