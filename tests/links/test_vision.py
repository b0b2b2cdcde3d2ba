"""ResNet, VGG and GoogLeNet: sizes, steps, images and where weights come from."""

import numpy as np
import pytest

import chainlite
import chainlite.links as L
from chainlite import Chain, initializers, serializers
from chainlite.backends.cuda import to_cpu
from chainlite.dataset import download
from chainlite.links.model.vision import googlenet, resnet, vgg
from links.torchvision_weights import IMAGE_OF_VGG, VALUES, small_vgg, state, write_safetensors

SHAPES = [(50, 60, 3), (40, 30)]
IMAGES = [np.random.RandomState(0).randint(0, 256, shape).astype(np.uint8) for shape in SHAPES]


@pytest.fixture
def no_memory(monkeypatch):
    """Parameters of any size, all zero, that take no memory."""

    def generate_array(initializer, shape, xp, dtype=None, device=None):
        return np.broadcast_to(np.float32(0), shape)

    monkeypatch.setattr(initializers, 'generate_array', generate_array)


@pytest.fixture
def narrow(monkeypatch):
    """Networks of a sixteenth of the width, that compute in a moment."""

    def narrowed(cls):
        return lambda *args, **kwargs: cls(*[n // 16 if isinstance(n, int) and n >= 16 else n for n in args], **kwargs)

    for module, names in ((resnet, ['BatchNormalization']), (googlenet, ['Inception'])):
        for name in ('Convolution2D', 'Linear', *names):
            monkeypatch.setattr(module, name, narrowed(getattr(module, name)))


@pytest.fixture
def cache(tmp_path):
    root = download.get_dataset_root()
    download.set_dataset_root(str(tmp_path))
    yield tmp_path / 'pfnet' / 'chainer' / 'models'
    download.set_dataset_root(root)


@pytest.fixture
def resnet50(narrow, device):
    np.random.seed(0)
    return L.ResNet50Layers(pretrained_model=None).to_device(device)


@pytest.mark.host('counts numbers')
@pytest.mark.parametrize(
    'make, count, n_steps',
    [
        (L.ResNet50Layers, 25557096, 9),
        (L.ResNet101Layers, 44549224, 9),
        (L.ResNet152Layers, 60192872, 9),
        (L.VGG16Layers, 138357544, 22),
        (L.VGG19Layers, 143667240, 25),
        (L.GoogLeNet, 13378280, 21),
    ],
)
def test_number_of_parameters_and_steps(no_memory, make, count, n_steps):
    model = make(pretrained_model=None)
    assert model.count_params() == count
    assert model.available_layers == list(model.functions) and len(model.available_layers) == n_steps


def on_host(model, x, layers):
    """What a copy of the network computes on NumPy, of which it makes arrays."""
    return {name: y.array for name, y in model.copy('copy').to_device('@numpy')(x, layers=layers).items()}


def test_steps_are_computed_on_the_way(resnet50, device):
    x = np.random.RandomState(0).randn(2, 3, 32, 32).astype(np.float32)
    with chainlite.using_config('train', False), chainlite.no_backprop_mode():
        found = resnet50(device.send(x), layers=['res2', 'pool5', 'prob'])
        assert {name: y.shape for name, y in found.items()} == {
            'res2': (2, 16, 8, 8),
            'pool5': (2, 128),
            'prob': (2, 62),
        }
        found = {name: to_cpu(y.array) for name, y in found.items()}
        np.testing.assert_allclose(found['prob'].sum(1), 1, rtol=1e-5)
        np.testing.assert_array_equal(to_cpu(resnet50(device.send(x))['prob'].array), found['prob'])
        assert resnet50(device.send(x), layers=[]) == {}
        for name, y in on_host(resnet50, x, list(found)).items():
            np.testing.assert_allclose(found[name], y, rtol=1e-4, atol=1e-5)


def test_the_auxiliary_classifiers_of_googlenet_start_on_the_way(narrow, device):
    model = L.GoogLeNet(pretrained_model=None).to_device(device)
    x = np.random.RandomState(0).randn(1, 3, 224, 224).astype(np.float32)
    with chainlite.using_config('train', False), chainlite.no_backprop_mode():
        found = model(device.send(x), layers=['loss2_fc2', 'inception_4d', 'pool5'])
        expected = on_host(model, x, list(found))
    assert {name: y.shape for name, y in found.items()} == {
        'loss2_fc2': (1, 62),
        'inception_4d': (1, 33, 14, 14),
        'pool5': (1, 64, 1, 1),
    }
    for name, y in found.items():
        np.testing.assert_allclose(to_cpu(y.array), expected[name], rtol=1e-4, atol=1e-5)


@pytest.mark.host('looks at numbers of links')
@pytest.mark.parametrize('fb, strides', [(False, (2, 1)), (True, (1, 2))])
def test_where_blocks_have_their_stride(no_memory, fb, strides):
    block = L.ResNet50Layers(None, downsample_fb=fb).res3.a
    assert (block.conv1.stride[0], block.conv2.stride[0], block.conv4.stride[0]) == (*strides, 2)


@pytest.mark.host('texts of errors')
def test_depths_that_were_not_published_are_refused():
    with pytest.raises(ValueError, match='should be either 50, 101, or 152, but 51 was given'):
        resnet.ResNetLayers(None, 51)
    with pytest.raises(ValueError, match='either 16 or 19, but 11 was given'):
        vgg.VGGLayers(None, 11)


# -- images --


@pytest.mark.host('images are prepared on the host')
@pytest.mark.parametrize(
    'module, mean',
    [(resnet, (103.063, 115.903, 123.152)), (vgg, (103.939, 116.779, 123.68)), (googlenet, (104, 117, 123))],
)
def test_images_become_blue_green_red_without_the_mean(module, mean):
    image = IMAGES[0]
    expected = image[:, :, ::-1].transpose(2, 0, 1) - np.array(mean, np.float32)[:, None, None]
    for form in (image, image.transpose(2, 0, 1), image.astype(np.float32)):
        prepared = module.prepare(form, size=None)
        assert prepared.dtype == np.float32
        np.testing.assert_allclose(prepared, expected, rtol=1e-6)
    assert module.prepare(image).shape == (3, 224, 224)
    assert module.prepare(image, size=(7, 9)).shape == (3, 9, 7)


@pytest.mark.host('images are prepared on the host')
def test_grey_and_pil_images_are_prepared():
    from PIL import Image

    grey = IMAGES[1]
    expected = resnet.prepare(np.repeat(grey[:, :, None], 3, axis=2), size=None)
    for form in (grey, grey[None], Image.fromarray(grey)):
        np.testing.assert_array_equal(resnet.prepare(form, size=None), expected)


@pytest.mark.parametrize(
    'image, message',
    [
        ('cat.png', 'an image is a PIL image or an array, not str'),
        (np.zeros((2, 20, 30), np.uint8), r'\(1, h, w\) or \(3, h, w\), not one of \(2, 20, 30\)'),
    ],
)
@pytest.mark.host('texts of errors')
def test_what_is_no_image_is_refused(image, message):
    with pytest.raises(TypeError, match=message):
        resnet.prepare(image)


def test_features_are_extracted_in_the_current_mode(resnet50):
    seen = []

    class Spy(chainlite.LinkHook):
        def forward_preprocess(self, args):
            seen.append(chainlite.config.train)

    with Spy(), chainlite.no_backprop_mode():
        for train in (True, False):
            with chainlite.using_config('train', train):
                assert resnet50.extract(IMAGES, size=(32, 32))['pool5'].shape == (2, 128)
            assert set(seen) == {train}
            seen.clear()


def test_images_that_keep_their_size_must_agree(resnet50):
    with chainlite.using_config('train', False), chainlite.no_backprop_mode():
        assert resnet50.extract(IMAGES[:1] * 2, ['res2'], size=None)['res2'].shape[0] == 2
        with pytest.raises(ValueError, match=r'must agree in it, not have \[\(60, 50\), \(30, 40\)\]'):
            resnet50.extract(IMAGES, size=None)


def test_predictions_average_crops_and_make_no_graph(device):
    calls = []

    class Model(L.ResNet50Layers):
        def __init__(self):
            Chain.__init__(self)

        def forward(self, x, layers):
            assert x.device == device
            x = to_cpu(x.array)
            calls.append((x, chainlite.config.train, chainlite.config.enable_backprop))
            return {'prob': chainlite.Variable(device.send(x.mean((1, 2, 3))[:, None]))}

    model = Model().to_device(device)
    y = model.predict(IMAGES)
    x, train, enable_backprop = calls[0]
    assert x.shape == (20, 3, 224, 224) and not train and not enable_backprop
    np.testing.assert_allclose(to_cpu(y.array), x.mean((1, 2, 3)).reshape(2, 10).mean(1)[:, None], rtol=1e-4)
    x, prepared = model.predict(IMAGES, oversample=False), np.stack([resnet.prepare(i, (256, 256)) for i in IMAGES])
    np.testing.assert_array_equal(calls[1][0], prepared[:, :, 16:240, 16:240])


@pytest.mark.host('texts of errors')
@pytest.mark.parametrize('name', ['test', 'volatile'])
def test_removed_arguments_are_refused(no_memory, name):
    model = L.ResNet50Layers(None)
    with pytest.raises(ValueError, match=f'{name} argument is not supported anymore'):
        model.extract(IMAGES, **{name: True})
    with pytest.raises(TypeError, match='unexpected keyword argument'):
        model(None, foo=1)


# -- weights --


@pytest.mark.host('reads files')
def test_weights_are_loaded_from_an_npz_file(tmp_path, cache):
    resnet50 = L.ResNet50Layers(pretrained_model=None)
    path = tmp_path / 'weights.npz'
    serializers.save_npz(path, resnet50, compression=False)
    np.testing.assert_array_equal(L.ResNet50Layers(str(path)).fc6.W.array, resnet50.fc6.W.array)
    cache.mkdir(parents=True)
    path.rename(cache / 'ResNet-50-model.npz')
    np.testing.assert_array_equal(L.ResNet50Layers().conv1.W.array, resnet50.conv1.W.array)


@pytest.mark.host('texts of errors')
def test_resnets_say_which_file_to_put_where(no_memory, cache):
    with pytest.raises(OSError) as caught:
        L.ResNet152Layers()
    assert str(caught.value) == (
        'The pre-trained caffemodel does not exist. Please download it from '
        f"'https://github.com/KaimingHe/deep-residual-networks', and place it on {cache}/ResNet-152-model.caffemodel"
    )


@pytest.mark.host('converts files')
@pytest.mark.parametrize('n_layers, blocks', [(50, 'abcdef'), (101, ['a', *(f'b{i}' for i in range(1, 23))])])
def test_caffemodels_are_converted_name_by_name(n_layers, blocks):
    """With a stand-in for the caffemodel: the value of each layer is its place in the list of their names."""
    source = Chain()

    def add(name, W):
        source.add_link(name, chainlite.Link())
        with source[name].init_scope():
            source[name].W = chainlite.Parameter(np.float32(W) * np.ones(1, np.float32))
            source[name].b = chainlite.Parameter(np.ones(1, np.float32))
        source[name].avg_mean = source[name].avg_var = np.ones(1, np.float32) * np.float32(W)
        source[name].bias = source[name]

    add('conv1', 3)
    add('fc1000', 4)
    layers = [f'4{b}_branch{i}' for b in blocks for i in ('2a', '2b', '2c', *(['1'] if b == 'a' else []))]
    for stage, count in ((2, 'abc'), (3, 'abcd' if n_layers == 50 else ['a', 'b1', 'b2', 'b3']), (5, 'abc')):
        layers += [f'{stage}{b}_branch{i}' for b in count for i in ('2a', '2b', '2c', *(['1'] if b == 'a' else []))]
    for number, layer in enumerate(['_conv1', *layers]):
        for kind in ('res', 'bn', 'scale'):
            add(kind + layer, number)
    model = resnet.ResNetLayers(None, n_layers)
    model._copy_caffemodel(source)
    assert model.conv1.W.array.flat[0] == 3 and model.fc6.W.array.flat[0] == 4
    last = model.res4[f'b{len(blocks) - 1}']
    assert last.conv2.W.array.flat[0] == 1 + layers.index(f'4{blocks[-1]}_branch2b')
    assert last.bn3.avg_var[0] == last.bn3.gamma.array[0] == 1 + layers.index(f'4{blocks[-1]}_branch2c')
    assert model.res3.a.conv4.W.array.flat[0] == 1 + layers.index('3a_branch1')
    assert model.res5.b2.bn1.avg_mean[0] == 1 + layers.index('5c_branch2a')


@pytest.mark.parametrize(
    'make, n_layers, xp',
    [
        (L.VGG16Layers, 16, 'numpy'),
        (L.VGG19Layers, 19, 'numpy'),
        pytest.param(L.VGG16Layers, 16, 'cupy', marks=pytest.mark.gpu),
    ],
    indirect=['xp'],
)
def test_a_vgg_of_torchvision_computes_what_it_does_there(monkeypatch, make, n_layers, tmp_path, device):
    monkeypatch.setattr(vgg, '_CHANNELS', (4, 6, 8, 10, 12))
    monkeypatch.setattr(vgg, '_HIDDEN', 16)
    model = make(write_safetensors(tmp_path / 'vgg.safetensors', state(small_vgg(n_layers)))).to_device(device)
    with chainlite.using_config('train', False), chainlite.no_backprop_mode():
        y = to_cpu(model.extract([IMAGE_OF_VGG], ['fc8'], size=None)['fc8'].array[0])
    expected = np.load(VALUES)[f'vgg{n_layers}']
    np.testing.assert_allclose(y, expected, atol=1e-4 * abs(expected).max())
