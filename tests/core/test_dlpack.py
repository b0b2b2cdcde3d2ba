"""DLPack in both directions: memory is shared, and what cannot be shared is said."""

import numpy as np
import pytest
from comparing import assert_array_equal

import chainlite
import chainlite.functions as F
import chainlite.links as L
from chainlite import Parameter, Variable


@pytest.fixture
def torch():
    return pytest.importorskip('torch', reason='PyTorch, to share memory with, is not installed')


def address(array):
    return array.__array_interface__['data'][0] if isinstance(array, np.ndarray) else array.data.ptr


@pytest.mark.host('PyTorch shares the memory of the host here; what CuPy shares is below')
@pytest.mark.parametrize('dtype', ['f2', 'f4', 'f8', 'i1', 'i4', 'i8', 'u1', '?'])
def test_pytorch_shares_the_memory_of_a_variable(torch, dtype):
    x = Variable(np.arange(6).reshape(2, 3).astype(dtype))
    tensor = torch.from_dlpack(x)
    assert_array_equal(tensor.numpy(), x.array, strict=True)
    tensor[0, 0] = 1
    assert x.array[0, 0] == 1
    x.array[1, 2] = 0
    assert tensor[1, 2] == 0


@pytest.mark.host('PyTorch shares the memory of the host here; what CuPy shares is below')
@pytest.mark.parametrize('dtype', ['float16', 'float32', 'float64', 'int8', 'int32', 'int64', 'uint8', 'bool'])
def test_a_variable_shares_the_memory_of_a_pytorch_tensor(torch, dtype):
    tensor = torch.arange(6).reshape(2, 3).to(getattr(torch, dtype))
    x = chainlite.from_dlpack(tensor)
    assert isinstance(x, Variable)
    assert x.creator is None
    assert_array_equal(x.array, tensor.numpy(), strict=True)
    assert x.array.__array_interface__['data'][0] == tensor.data_ptr()
    tensor[1, 2] = 0
    assert x.array[1, 2] == 0


@pytest.mark.host('PyTorch shares the memory of the host here; what CuPy shares is below')
def test_strides_pass_in_both_directions(torch):
    tensor = torch.arange(24.0).reshape(2, 3, 4).permute(2, 0, 1)[::2]
    x = chainlite.from_dlpack(tensor)
    assert x.array.strides == tuple(4 * s for s in tensor.stride())
    back = torch.from_dlpack(x)
    assert back.stride() == tensor.stride()
    assert back.data_ptr() == tensor.data_ptr()


def test_the_library_of_its_array_takes_a_variable(xp):
    x = Variable(xp.arange(3.0))
    assert address(xp.from_dlpack(x)) == address(x.array)
    assert x.__dlpack_device__() == ((1, 0) if xp is np else (2, 0))


def test_a_variable_takes_an_array_with_its_memory(xp):
    a = xp.arange(6, dtype='f').reshape(2, 3)
    x = chainlite.from_dlpack(a)
    assert isinstance(x.array, xp.ndarray) and address(x.array) == address(a)
    assert_array_equal(xp.from_dlpack(x * 1), a)
    F.sum(x * x).backward()
    assert_array_equal(x.grad, 2 * a)


@pytest.mark.host('PyTorch shares the memory of the host here; what CuPy shares is below')
def test_an_array_in_a_layout_of_our_own_is_shown_first(torch):
    x = Variable(np.random.RandomState(0).rand(2, 3, 8, 8).astype('f'))
    y = F.convolution_2d(x, np.ones((4, 3, 3, 3), 'f'))
    tensor = torch.from_dlpack(y)  # where oneDNN computes, y is channels last so far
    assert tensor.is_contiguous()
    assert y.array.flags.c_contiguous
    assert y.array.__array_interface__['data'][0] == tensor.data_ptr()
    tensor.zero_()
    assert not y.array.any()
    F.sum(y * y).backward()  # the graph has kept the array that was shared
    assert not x.grad.any()


@pytest.mark.host('PyTorch shares the memory of the host here; what CuPy shares is below')
def test_gradients_flow_to_a_variable_of_shared_memory(torch):
    tensor = torch.arange(3.0)
    x = chainlite.from_dlpack(tensor)
    F.sum(x * x).backward()
    assert_array_equal(x.grad, 2 * tensor.numpy())
    assert not chainlite.from_dlpack(tensor, requires_grad=False).requires_grad


@pytest.mark.host('PyTorch shares the memory of the host here; what CuPy shares is below')
def test_a_step_of_an_optimizer_reaches_the_tensor(torch):
    tensor = torch.ones(3)
    link = L.Parameter(np.zeros(3, 'f'))
    link.W.array = chainlite.from_dlpack(tensor).array
    optimizer = chainlite.optimizers.SGD(0.5).setup(link)
    optimizer.update(lambda: F.sum(link() * np.array([1, 2, 3], 'f')))
    assert_array_equal(tensor.numpy(), [0.5, 0, -0.5])


@pytest.mark.host('texts of errors')
def test_what_is_no_array_is_refused():
    with pytest.raises(TypeError, match="from_dlpack: an array with __dlpack__ is expected. Actual: <class 'list'>"):
        chainlite.from_dlpack([1, 2])


@pytest.mark.host('texts of errors')
def test_a_parameter_without_a_shape_is_refused():
    p = Parameter(name='W')
    with pytest.raises(ValueError, match='Parameter W without an array cannot be shared by DLPack'):
        np.from_dlpack(p)


@pytest.mark.host('texts of errors')
def test_other_devices_are_refused():
    class Elsewhere:
        def __dlpack__(self, **options):
            raise AssertionError('the device comes first')

        def __dlpack_device__(self):
            return 10, 1  # ROCm

    with pytest.raises(ValueError, match='the host or an NVIDIA GPU is expected. Actual: DLPack device 10:1'):
        chainlite.from_dlpack(Elsewhere())


@pytest.mark.host('texts of errors')
def test_tensors_that_pytorch_does_not_hand_out_are_refused_in_its_words(torch):
    with pytest.raises(BufferError, match='detach'):
        chainlite.from_dlpack(torch.ones(2, requires_grad=True))


@pytest.mark.host('texts of errors')
def test_dtypes_that_numpy_lacks_are_named(torch):
    with pytest.raises(ValueError, match=r'from_dlpack: Tensor torch.bfloat16 cannot be taken over'):
        chainlite.from_dlpack(torch.ones(2, dtype=torch.bfloat16))
