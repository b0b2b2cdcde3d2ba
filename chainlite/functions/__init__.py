"""Differentiable functions: `import chainlite.functions as F`.

To import all modules would take longer than to import NumPy, so a module is imported when the first of its functions is
used.
"""

import importlib
import re
from pathlib import Path
from typing import TYPE_CHECKING

from chainlite.functions._v1 import NAMES as _V1_NAMES
from chainlite.functions._v1 import v1_class as _v1_class

# Never runs: it says to readers, to type checkers and to _modules_by_name which module a function is in.
if TYPE_CHECKING:
    from chainlite.functions.activation.clipped_relu import clipped_relu, relu6
    from chainlite.functions.activation.crelu import crelu
    from chainlite.functions.activation.elu import elu
    from chainlite.functions.activation.hard_sigmoid import hard_sigmoid
    from chainlite.functions.activation.leaky_relu import leaky_relu
    from chainlite.functions.activation.log_softmax import log_softmax
    from chainlite.functions.activation.maxout import maxout
    from chainlite.functions.activation.prelu import prelu
    from chainlite.functions.activation.relu import relu
    from chainlite.functions.activation.rrelu import rrelu
    from chainlite.functions.activation.selu import selu
    from chainlite.functions.activation.sigmoid import sigmoid
    from chainlite.functions.activation.softmax import softmax
    from chainlite.functions.activation.softplus import softplus
    from chainlite.functions.activation.swish import swish
    from chainlite.functions.activation.tanh import tanh
    from chainlite.functions.array.as_strided import as_strided
    from chainlite.functions.array.broadcast import broadcast, broadcast_to
    from chainlite.functions.array.cast import cast
    from chainlite.functions.array.concat import concat
    from chainlite.functions.array.copy import copy
    from chainlite.functions.array.depth2space import depth2space
    from chainlite.functions.array.diagonal import diagonal
    from chainlite.functions.array.dstack import dstack
    from chainlite.functions.array.expand_dims import expand_dims
    from chainlite.functions.array.flatten import flatten
    from chainlite.functions.array.flip import flip
    from chainlite.functions.array.fliplr import fliplr
    from chainlite.functions.array.flipud import flipud
    from chainlite.functions.array.get_item import get_item
    from chainlite.functions.array.hstack import hstack
    from chainlite.functions.array.im2col import im2col
    from chainlite.functions.array.moveaxis import moveaxis
    from chainlite.functions.array.pad import pad
    from chainlite.functions.array.pad_sequence import pad_sequence
    from chainlite.functions.array.permutate import permutate
    from chainlite.functions.array.repeat import repeat
    from chainlite.functions.array.reshape import reshape
    from chainlite.functions.array.resize_images import resize_images
    from chainlite.functions.array.rollaxis import rollaxis
    from chainlite.functions.array.scatter_add import scatter_add
    from chainlite.functions.array.select_item import select_item
    from chainlite.functions.array.separate import separate
    from chainlite.functions.array.space2depth import space2depth
    from chainlite.functions.array.spatial_transformer_grid import spatial_transformer_grid
    from chainlite.functions.array.spatial_transformer_sampler import spatial_transformer_sampler
    from chainlite.functions.array.split_axis import split_axis
    from chainlite.functions.array.squeeze import squeeze
    from chainlite.functions.array.stack import stack
    from chainlite.functions.array.swapaxes import swapaxes
    from chainlite.functions.array.tile import tile
    from chainlite.functions.array.transpose import transpose
    from chainlite.functions.array.transpose_sequence import transpose_sequence
    from chainlite.functions.array.vstack import vstack
    from chainlite.functions.array.where import where
    from chainlite.functions.connection.bilinear import bilinear
    from chainlite.functions.connection.convolution_2d import convolution_2d
    from chainlite.functions.connection.convolution_nd import convolution_1d, convolution_3d, convolution_nd
    from chainlite.functions.connection.deconvolution_2d import deconvolution_2d
    from chainlite.functions.connection.deconvolution_nd import deconvolution_1d, deconvolution_3d, deconvolution_nd
    from chainlite.functions.connection.deformable_convolution_2d_sampler import deformable_convolution_2d_sampler
    from chainlite.functions.connection.depthwise_convolution_2d import depthwise_convolution_2d
    from chainlite.functions.connection.dilated_convolution_2d import dilated_convolution_2d
    from chainlite.functions.connection.embed_id import embed_id
    from chainlite.functions.connection.linear import linear
    from chainlite.functions.connection.local_convolution_2d import local_convolution_2d
    from chainlite.functions.connection.shift import shift
    from chainlite.functions.evaluation.accuracy import accuracy
    from chainlite.functions.evaluation.binary_accuracy import binary_accuracy
    from chainlite.functions.evaluation.classification_summary import (
        classification_summary,
        f1_score,
        precision,
        recall,
    )
    from chainlite.functions.evaluation.r2_score import r2_score
    from chainlite.functions.loss.absolute_error import absolute_error
    from chainlite.functions.loss.black_out import black_out
    from chainlite.functions.loss.contrastive import contrastive
    from chainlite.functions.loss.crf1d import argmax_crf1d, crf1d
    from chainlite.functions.loss.cross_covariance import cross_covariance
    from chainlite.functions.loss.ctc import connectionist_temporal_classification
    from chainlite.functions.loss.decov import decov
    from chainlite.functions.loss.discriminative_loss import discriminative_margin_based_clustering_loss
    from chainlite.functions.loss.hinge import hinge
    from chainlite.functions.loss.huber_loss import huber_loss
    from chainlite.functions.loss.mean_absolute_error import mean_absolute_error
    from chainlite.functions.loss.mean_squared_error import mean_squared_error
    from chainlite.functions.loss.negative_sampling import negative_sampling
    from chainlite.functions.loss.sigmoid_cross_entropy import sigmoid_cross_entropy
    from chainlite.functions.loss.softmax_cross_entropy import softmax_cross_entropy
    from chainlite.functions.loss.squared_error import squared_difference, squared_error
    from chainlite.functions.loss.triplet import triplet
    from chainlite.functions.loss.vae import bernoulli_nll, gaussian_kl_divergence, gaussian_nll
    from chainlite.functions.math.arctanh import arctanh
    from chainlite.functions.math.average import average, mean
    from chainlite.functions.math.basic_math import absolute, add
    from chainlite.functions.math.batch_l2_norm_squared import batch_l2_norm_squared
    from chainlite.functions.math.bias import bias
    from chainlite.functions.math.ceil import ceil
    from chainlite.functions.math.cholesky import cholesky
    from chainlite.functions.math.clip import clip
    from chainlite.functions.math.cumprod import cumprod
    from chainlite.functions.math.cumsum import cumsum
    from chainlite.functions.math.det import batch_det, det
    from chainlite.functions.math.digamma import digamma
    from chainlite.functions.math.einsum import einsum
    from chainlite.functions.math.erf import erf
    from chainlite.functions.math.erfc import erfc
    from chainlite.functions.math.erfcinv import erfcinv
    from chainlite.functions.math.erfcx import erfcx
    from chainlite.functions.math.erfinv import erfinv
    from chainlite.functions.math.exponential import exp, log, log2, log10
    from chainlite.functions.math.exponential_m1 import expm1
    from chainlite.functions.math.fft import fft, ifft
    from chainlite.functions.math.fix import fix
    from chainlite.functions.math.floor import floor
    from chainlite.functions.math.fmod import fmod
    from chainlite.functions.math.hyperbolic import cosh, sinh
    from chainlite.functions.math.identity import identity
    from chainlite.functions.math.inv import batch_inv, inv
    from chainlite.functions.math.lgamma import lgamma
    from chainlite.functions.math.linear_interpolate import linear_interpolate
    from chainlite.functions.math.log_ndtr import log_ndtr
    from chainlite.functions.math.logarithm_1p import log1p
    from chainlite.functions.math.logsumexp import logsumexp
    from chainlite.functions.math.matmul import batch_matmul, matmul
    from chainlite.functions.math.maximum import maximum
    from chainlite.functions.math.minimum import minimum
    from chainlite.functions.math.minmax import argmax, argmin, max, min
    from chainlite.functions.math.ndtr import ndtr
    from chainlite.functions.math.ndtri import ndtri
    from chainlite.functions.math.polygamma import polygamma
    from chainlite.functions.math.prod import prod
    from chainlite.functions.math.scale import scale
    from chainlite.functions.math.sign import sign
    from chainlite.functions.math.sparse_matmul import sparse_matmul
    from chainlite.functions.math.sqrt import rsqrt, sqrt
    from chainlite.functions.math.square import square
    from chainlite.functions.math.sum import sum, sum_to
    from chainlite.functions.math.tensordot import tensordot
    from chainlite.functions.math.trigonometric import arccos, arcsin, arctan, arctan2, cos, sin, tan
    from chainlite.functions.math.zeta import zeta
    from chainlite.functions.noise.dropout import dropout
    from chainlite.functions.noise.gaussian import gaussian
    from chainlite.functions.noise.gumbel_softmax import gumbel_softmax
    from chainlite.functions.noise.simplified_dropconnect import simplified_dropconnect
    from chainlite.functions.noise.zoneout import zoneout
    from chainlite.functions.normalization.batch_normalization import batch_normalization, fixed_batch_normalization
    from chainlite.functions.normalization.batch_renormalization import (
        batch_renormalization,
        fixed_batch_renormalization,
    )
    from chainlite.functions.normalization.decorrelated_batch_normalization import (
        decorrelated_batch_normalization,
        fixed_decorrelated_batch_normalization,
    )
    from chainlite.functions.normalization.group_normalization import group_normalization
    from chainlite.functions.normalization.l2_normalization import normalize
    from chainlite.functions.normalization.layer_normalization import layer_normalization
    from chainlite.functions.normalization.local_response_normalization import local_response_normalization
    from chainlite.functions.pooling.average_pooling_2d import average_pooling_2d
    from chainlite.functions.pooling.average_pooling_nd import (
        average_pooling_1d,
        average_pooling_3d,
        average_pooling_nd,
    )
    from chainlite.functions.pooling.max_pooling_nd import (
        max_pooling_1d,
        max_pooling_2d,
        max_pooling_3d,
        max_pooling_nd,
    )
    from chainlite.functions.pooling.roi_average_align_2d import roi_average_align_2d
    from chainlite.functions.pooling.roi_average_pooling_2d import roi_average_pooling_2d
    from chainlite.functions.pooling.roi_max_align_2d import roi_max_align_2d
    from chainlite.functions.pooling.roi_max_pooling_2d import roi_max_pooling_2d
    from chainlite.functions.pooling.roi_pooling_2d import roi_pooling_2d
    from chainlite.functions.pooling.spatial_pyramid_pooling_2d import spatial_pyramid_pooling_2d
    from chainlite.functions.pooling.unpooling_2d import unpooling_2d
    from chainlite.functions.pooling.unpooling_nd import unpooling_1d, unpooling_3d, unpooling_nd
    from chainlite.functions.pooling.upsampling_2d import upsampling_2d
    from chainlite.functions.rnn.lstm import lstm
    from chainlite.functions.rnn.n_step_gru import n_step_bigru, n_step_gru
    from chainlite.functions.rnn.n_step_lstm import n_step_bilstm, n_step_lstm
    from chainlite.functions.rnn.n_step_rnn import n_step_birnn, n_step_rnn
    from chainlite.functions.rnn.slstm import slstm
    from chainlite.functions.rnn.tree_lstm import tree_lstm
    from chainlite.functions.util.forget import forget


_FAMILIES = {
    *('activation', 'array', 'connection', 'evaluation', 'loss', 'math', 'noise', 'normalization', 'pooling', 'rnn'),
    'util',
}
_IMPORT = re.compile(r'^    from (\S+) import (?:\(([^)]*)\)|(.*))', re.MULTILINE)


def _modules_by_name():
    imports = _IMPORT.findall(Path(__file__).read_text())
    return {name: module for module, *names in imports for name in re.findall(r'\w+', ''.join(names))}


_MODULES = _modules_by_name()
for _name in ['add', 'average', 'cast', 'copy', 'get_item', 'matmul', 'reshape', 'sum', 'transpose']:
    importlib.import_module(_MODULES[_name])  # where the operators and methods of Variable are defined


def __getattr__(name):
    if name in _MODULES:
        value = getattr(importlib.import_module(_MODULES[name]), name)
    elif name in _FAMILIES:
        value = importlib.import_module(f'{__name__}.{name}')
    elif name in _V1_NAMES:
        function = next(f for f in _MODULES if f.replace('_', '') == name.lower())
        value = _v1_class(name, __getattr__(function))
    else:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    globals()[name] = value
    return value


def __dir__():
    return sorted({*globals(), *_MODULES, *_FAMILIES})
