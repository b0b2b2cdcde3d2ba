"""The messages of Caffe's files (https://github.com/BVLC/caffe), as classes that protobuf makes when asked for them.

``caffe_pb2.NetParameter()`` and the like read and write caffemodels, and with ``google.protobuf.text_format``, prototxt
files. What says where training data come from is left out: it is kept when a file is read and written again.
The classes live in a pool of their own, so that a program may also import the module that Caffe brings along.
"""

import functools

# message: number, name, type, then the default if it has one; a star for repeated fields, two if they are packed.
_MESSAGES = """
NetParameter: 1 name string, 2 layers V1LayerParameter*, 3 input string*, 4 input_dim int32*, 5 force_backward bool,
    6 state NetState, 7 debug_info bool, 8 input_shape BlobShape*, 100 layer LayerParameter*
NetState: 1 phase Phase TEST, 2 level int32, 3 stage string*
NetStateRule: 1 phase Phase, 2 min_level int32, 3 max_level int32, 4 stage string*, 5 not_stage string*
BlobProto: 1 num int32, 2 channels int32, 3 height int32, 4 width int32, 5 data float**, 6 diff float**,
    7 shape BlobShape, 8 double_data double**, 9 double_diff double**
BlobShape: 1 dim int64**
FillerParameter: 1 type string constant, 2 value float, 3 min float, 4 max float 1, 5 mean float, 6 std float 1,
    7 sparse int32 -1, 8 variance_norm VarianceNorm
ParamSpec: 1 name string, 2 share_mode DimCheckMode, 3 lr_mult float 1, 4 decay_mult float 1

LayerParameter: 1 name string, 2 type string, 3 bottom string*, 4 top string*, 5 loss_weight float*, 6 param ParamSpec*,
    7 blobs BlobProto*, 8 include NetStateRule*, 9 exclude NetStateRule*, 10 phase Phase, 11 propagate_down bool*,
    101 loss_param LossParameter, 102 accuracy_param AccuracyParameter, 103 argmax_param ArgMaxParameter,
    104 concat_param ConcatParameter, 106 convolution_param ConvolutionParameter, 108 dropout_param DropoutParameter,
    110 eltwise_param EltwiseParameter, 111 exp_param ExpParameter, 117 inner_product_param InnerProductParameter,
    118 lrn_param LRNParameter, 120 mvn_param MVNParameter, 121 pooling_param PoolingParameter,
    122 power_param PowerParameter, 123 relu_param ReLUParameter, 124 sigmoid_param SigmoidParameter,
    125 softmax_param SoftmaxParameter, 126 slice_param SliceParameter, 127 tanh_param TanHParameter,
    128 threshold_param ThresholdParameter, 131 prelu_param PReLUParameter, 133 reshape_param ReshapeParameter,
    134 log_param LogParameter, 135 flatten_param FlattenParameter, 136 reduction_param ReductionParameter,
    137 embed_param EmbedParameter, 138 tile_param TileParameter, 139 batch_norm_param BatchNormParameter,
    140 elu_param ELUParameter, 141 bias_param BiasParameter, 142 scale_param ScaleParameter,
    143 input_param InputParameter, 144 crop_param CropParameter, 147 swish_param SwishParameter,
    148 clip_param ClipParameter, 202 permute_param PermuteParameter, 206 norm_param NormalizeParameter
V1LayerParameter: 2 bottom string*, 3 top string*, 4 name string, 5 type LayerType, 6 blobs BlobProto*,
    7 blobs_lr float*, 8 weight_decay float*, 9 concat_param ConcatParameter, 10 convolution_param ConvolutionParameter,
    12 dropout_param DropoutParameter, 17 inner_product_param InnerProductParameter, 18 lrn_param LRNParameter,
    19 pooling_param PoolingParameter, 21 power_param PowerParameter, 23 argmax_param ArgMaxParameter,
    24 eltwise_param EltwiseParameter, 25 threshold_param ThresholdParameter, 27 accuracy_param AccuracyParameter,
    30 relu_param ReLUParameter, 31 slice_param SliceParameter, 32 include NetStateRule*, 33 exclude NetStateRule*,
    34 mvn_param MVNParameter, 35 loss_weight float*, 37 tanh_param TanHParameter, 38 sigmoid_param SigmoidParameter,
    39 softmax_param SoftmaxParameter, 41 exp_param ExpParameter, 42 loss_param LossParameter, 1001 param string*,
    1002 blob_share_mode DimCheckMode*

AccuracyParameter: 1 top_k uint32 1, 2 axis int32 1, 3 ignore_label int32
ArgMaxParameter: 1 out_max_val bool, 2 top_k uint32 1, 3 axis int32
BatchNormParameter: 1 use_global_stats bool, 2 moving_average_fraction float 0.999, 3 eps float 1e-5
BiasParameter: 1 axis int32 1, 2 num_axes int32 1, 3 filler FillerParameter
ClipParameter: 1 min float, 2 max float
ConcatParameter: 1 concat_dim uint32 1, 2 axis int32 1
ConvolutionParameter: 1 num_output uint32, 2 bias_term bool true, 3 pad uint32*, 4 kernel_size uint32*,
    5 group uint32 1, 6 stride uint32*, 7 weight_filler FillerParameter, 8 bias_filler FillerParameter, 9 pad_h uint32,
    10 pad_w uint32, 11 kernel_h uint32, 12 kernel_w uint32, 13 stride_h uint32, 14 stride_w uint32, 15 engine Engine,
    16 axis int32 1, 17 force_nd_im2col bool, 18 dilation uint32*
CropParameter: 1 axis int32 2, 2 offset uint32*
DropoutParameter: 1 dropout_ratio float 0.5
ELUParameter: 1 alpha float 1
EltwiseParameter: 1 operation EltwiseOp SUM, 2 coeff float*, 3 stable_prod_grad bool true
EmbedParameter: 1 num_output uint32, 2 input_dim uint32, 3 bias_term bool true, 4 weight_filler FillerParameter,
    5 bias_filler FillerParameter
ExpParameter: 1 base float -1, 2 scale float 1, 3 shift float
FlattenParameter: 1 axis int32 1, 2 end_axis int32 -1
InnerProductParameter: 1 num_output uint32, 2 bias_term bool true, 3 weight_filler FillerParameter,
    4 bias_filler FillerParameter, 5 axis int32 1, 6 transpose bool
InputParameter: 1 shape BlobShape*
InterpParameter: 1 height int32, 2 width int32, 3 zoom_factor int32 1, 4 shrink_factor int32 1, 5 pad_beg int32,
    6 pad_end int32
LRNParameter: 1 local_size uint32 5, 2 alpha float 1, 3 beta float 0.75, 4 norm_region NormRegion, 5 k float 1,
    6 engine Engine
LogParameter: 1 base float -1, 2 scale float 1, 3 shift float
LossParameter: 1 ignore_label int32, 2 normalize bool, 3 normalization NormalizationMode VALID
MVNParameter: 1 normalize_variance bool true, 2 across_channels bool, 3 eps float 1e-9
NormalizeParameter: 1 across_spatial bool true, 2 scale_filler FillerParameter, 3 channel_shared bool true,
    4 eps float 1e-10
PReLUParameter: 1 filler FillerParameter, 2 channel_shared bool
PermuteParameter: 1 order uint32*
PoolingParameter: 1 pool PoolMethod, 2 kernel_size uint32, 3 stride uint32 1, 4 pad uint32, 5 kernel_h uint32,
    6 kernel_w uint32, 7 stride_h uint32, 8 stride_w uint32, 9 pad_h uint32, 10 pad_w uint32, 11 engine Engine,
    12 global_pooling bool, 13 round_mode RoundMode
PowerParameter: 1 power float 1, 2 scale float 1, 3 shift float
ReLUParameter: 1 negative_slope float, 2 engine Engine
ReductionParameter: 1 operation ReductionOp SUM, 2 axis int32, 3 coeff float 1
ReshapeParameter: 1 shape BlobShape, 2 axis int32, 3 num_axes int32 -1
ScaleParameter: 1 axis int32 1, 2 num_axes int32 1, 3 filler FillerParameter, 4 bias_term bool,
    5 bias_filler FillerParameter
SigmoidParameter: 1 engine Engine
SliceParameter: 1 slice_dim uint32 1, 2 slice_point uint32*, 3 axis int32 1
SoftmaxParameter: 1 engine Engine, 2 axis int32 1
SwishParameter: 1 beta float 1
TanHParameter: 1 engine Engine
ThresholdParameter: 1 threshold float
TileParameter: 1 axis int32 1, 2 tiles int32
"""

# The names of an enumeration's values stand beside its name, so those that share names live in their messages.
_ENUMS = """
Phase: TRAIN 0, TEST 1
FillerParameter.VarianceNorm: FAN_IN 0, FAN_OUT 1, AVERAGE 2
ParamSpec.DimCheckMode: STRICT 0, PERMISSIVE 1
LossParameter.NormalizationMode: FULL 0, VALID 1, BATCH_SIZE 2, NONE 3
EltwiseParameter.EltwiseOp: PROD 0, SUM 1, MAX 2
LRNParameter.NormRegion: ACROSS_CHANNELS 0, WITHIN_CHANNEL 1
PoolingParameter.PoolMethod: MAX 0, AVE 1, STOCHASTIC 2
PoolingParameter.RoundMode: CEIL 0, FLOOR 1
ReductionParameter.ReductionOp: SUM 1, ASUM 2, SUMSQ 3, MEAN 4
ConvolutionParameter.Engine: DEFAULT 0, CAFFE 1, CUDNN 2
LRNParameter.Engine: DEFAULT 0, CAFFE 1, CUDNN 2
PoolingParameter.Engine: DEFAULT 0, CAFFE 1, CUDNN 2
ReLUParameter.Engine: DEFAULT 0, CAFFE 1, CUDNN 2
SigmoidParameter.Engine: DEFAULT 0, CAFFE 1, CUDNN 2
SoftmaxParameter.Engine: DEFAULT 0, CAFFE 1, CUDNN 2
TanHParameter.Engine: DEFAULT 0, CAFFE 1, CUDNN 2
V1LayerParameter.DimCheckMode: STRICT 0, PERMISSIVE 1
V1LayerParameter.LayerType: NONE 0, ACCURACY 1, BNLL 2, CONCAT 3, CONVOLUTION 4, DATA 5, DROPOUT 6, EUCLIDEAN_LOSS 7,
    FLATTEN 8, HDF5_DATA 9, HDF5_OUTPUT 10, IM2COL 11, IMAGE_DATA 12, INFOGAIN_LOSS 13, INNER_PRODUCT 14, LRN 15,
    MULTINOMIAL_LOGISTIC_LOSS 16, POOLING 17, RELU 18, SIGMOID 19, SOFTMAX 20, SOFTMAX_LOSS 21, SPLIT 22, TANH 23,
    WINDOW_DATA 24, ELTWISE 25, POWER 26, SIGMOID_CROSS_ENTROPY_LOSS 27, HINGE_LOSS 28, MEMORY_DATA 29, ARGMAX 30,
    THRESHOLD 31, DUMMY_DATA 32, SLICE 33, MVN 34, ABSVAL 35, SILENCE 36, CONTRASTIVE_LOSS 37, EXP 38, DECONVOLUTION 39
"""


def _entries(table):
    """{name before the colon: list of the words of each item behind it}."""
    joined = table.replace('\n    ', ' ').strip()
    lines = (line.split(': ') for line in joined.splitlines() if line)
    return {name: [item.split() for item in items.split(', ')] for name, items in lines}


@functools.cache
def make_messages(lean=False):
    """Makes the classes.

    Args:
        lean: Whether to make them for reading large files quickly and strictly: the values of packed fields stay bytes
            (which is how they lie in a file), a list of one or more pieces, and enumerations are integers (an unknown
            value would otherwise be passed over).

    Returns:
        Dictionary from names to classes.
    """
    try:
        from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
    except ImportError:
        raise ImportError("protobuf is needed for Caffe's files: pip install chainlite[caffe]")

    file = descriptor_pb2.FileDescriptorProto(name='caffe.proto', package='caffe', syntax='proto2')
    messages = _entries(_MESSAGES)
    for name in messages:
        file.message_type.add(name=name)
    by_name = {message.name: message for message in file.message_type}
    enums = {}  # name of the field's message + name of the type: (full name, {value: number})
    for name, values in _entries(_ENUMS).items():
        owner, _, own_name = name.rpartition('.')
        enum = (by_name[owner] if owner else file).enum_type.add(name=own_name)
        for value, number in values:
            enum.value.add(name=value, number=int(number))
        enums[owner, own_name] = f'.caffe.{name}', {value: int(number) for value, number in values}
    for name, fields in messages.items():
        for number, field_name, kind, *default in fields:
            field = by_name[name].field.add(name=field_name, number=int(number))
            base, packed = kind.rstrip('*'), kind.endswith('**')
            field.label = field.LABEL_REPEATED if '*' in kind else field.LABEL_OPTIONAL
            enum = enums.get((name, base)) or enums.get(('', base))
            if base in by_name:
                field.type, field.type_name = field.TYPE_MESSAGE, f'.caffe.{base}'
            elif packed and lean and base != 'int64':
                field.type = field.TYPE_BYTES
            elif enum and lean:
                field.type = field.TYPE_INT32
                default = [str(enum[1][value]) for value in default]
            elif enum:
                field.type, field.type_name = field.TYPE_ENUM, enum[0]
            else:
                field.type = getattr(field, f'TYPE_{base.upper()}')
            if packed and not (lean and base != 'int64'):
                field.options.packed = True
            if default:
                (field.default_value,) = default
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    descriptor = pool.FindFileByName('caffe.proto')
    make = getattr(message_factory, 'GetMessageClass', None) or message_factory.MessageFactory(pool).GetPrototype
    return {name: make(message) for name, message in descriptor.message_types_by_name.items()}


def __getattr__(name):
    if name in _entries(_MESSAGES):
        return make_messages()[name]
    if name in ('TRAIN', 'TEST'):
        return ('TRAIN', 'TEST').index(name)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
