"""Datasets made of others and of files."""

import pickle
import zipfile

import numpy
import pytest

import chainlite
from chainlite import datasets
from chainlite.iterators import MultiprocessIterator

on_host = pytest.mark.host('reads files, or chooses examples: that is of the host')


class Squares(chainlite.dataset.DatasetMixin):
    def __len__(self):
        return 5

    def get_example(self, i):
        return i * i


@on_host
@pytest.mark.parametrize(
    'index, expected',
    [
        (2, 4),
        (slice(1, 4), [1, 4, 9]),
        (slice(None, None, -2), [16, 4, 0]),
        ([0, 3], [0, 9]),
        (numpy.array([3, 0]), [9, 0]),
    ],
)
def test_a_class_with_get_example_can_be_indexed(index, expected):
    assert Squares()[index] == expected


def test_tuples_and_dictionaries_of_datasets(xp):
    pairs = datasets.TupleDataset(xp.arange(3), [5, 6, 7])
    assert len(pairs) == 3 and pairs[1] == (1, 6) and pairs[1:] == [(1, 6), (2, 7)]
    named = datasets.DictDataset(a=xp.arange(3), b=[5, 6, 7])
    assert len(named) == 3 and named[1] == {'a': 1, 'b': 6} and named[1:] == [{'a': 1, 'b': 6}, {'a': 2, 'b': 7}]


@on_host
@pytest.mark.parametrize(
    'call, message',
    [
        (lambda: datasets.TupleDataset(), 'no datasets are given'),
        (lambda: datasets.DictDataset(), 'no datasets are given'),
        (lambda: datasets.TupleDataset([1, 2], [1]), 'dataset of the index 1 has a wrong length'),
        (lambda: datasets.DictDataset(a=[1, 2], b=[1]), 'dataset length conflicts at "b"'),
        (lambda: datasets.SubDataset([1, 2, 3], 2, 5), 'subset overruns the base dataset.'),
        (lambda: datasets.SubDataset([1, 2, 3], 0, 2, [1]), r'len\(order\) = 1 while len\(dataset\) = 3'),
        (lambda: datasets.split_dataset([1, 2, 3], 5), 'split_at exceeds the dataset size'),
        (lambda: datasets.split_dataset([1, 2, 3], -1), 'split_at must be non-negative'),
        (lambda: datasets.get_cross_validation_datasets([1, 2, 3]), 'n_folds is needed'),
    ],
)
def test_misuse_is_a_value_error(call, message):
    with pytest.raises(ValueError, match=message):
        call()
    with pytest.raises(TypeError, match='split_at must be int'):
        datasets.split_dataset([1, 2, 3], 1.5)


@on_host
def test_parts():
    data = [1, 2, 3, 4, 5]
    part = datasets.SubDataset(data, 1, 4, [2, 0, 3, 1, 4])
    assert list(part) == [1, 4, 2] and part[-1] == 2 and part[:2] == [1, 4]
    for index in (3, -4):
        with pytest.raises(IndexError):
            part[index]
    assert [list(part) for part in datasets.split_dataset(data, 2)] == [[1, 2], [3, 4, 5]]
    assert [list(part) for part in datasets.split_dataset_n(data, 2)] == [[1, 2], [3, 4]]


@on_host
def test_random_parts_are_those_of_chainer():
    data = list(range(10))
    assert [list(part) for part in datasets.split_dataset_random(data, 4, seed=3)] == [[5, 4, 1, 2], [9, 6, 7, 0, 3, 8]]
    assert [list(part) for part in datasets.split_dataset_n_random(data, 4, seed=3)] == [[5, 4], [1, 2], [9, 6], [7, 0]]
    folds = datasets.get_cross_validation_datasets_random(list(range(7)), 3, seed=3)
    assert [[list(part) for part in fold] for fold in folds] == [
        [[4, 6, 5, 3], [1, 0, 2]],
        [[1, 0, 2, 4, 6], [5, 3]],
        [[5, 3, 1, 0, 2], [4, 6]],
    ]


@on_host
@pytest.mark.parametrize('n, n_folds', [(7, 3), (6, 3), (5, 5), (4, 1), (8, 5)])
def test_folds_cover_the_dataset(n, n_folds):
    tests = []
    for training, test in datasets.get_cross_validation_datasets(list(range(n)), n_folds):
        assert sorted([*training, *test]) == list(range(n))
        tests += test
    assert sorted(tests) == list(range(n))


def test_concatenation_and_transformation(xp):
    both = datasets.ConcatenatedDataset([1, 2], [], [3])
    assert len(both) == 3 and both[:] == [1, 2, 3]
    for index in (3, -1):
        with pytest.raises(IndexError):
            both[index]
    assert len(datasets.ConcatenatedDataset()) == 0
    assert datasets.TransformDataset([1, 2], lambda x: x * 10)[:] == [10, 20]
    rows = xp.arange(6, dtype='f').reshape(3, 2)
    flipped = datasets.TransformDataset(datasets.ConcatenatedDataset(rows[:1], rows[1:]), lambda x: x[::-1])
    assert all(isinstance(row, xp.ndarray) for row in flipped)
    assert [row.tolist() for row in flipped] == [[1, 0], [3, 2], [5, 4]]


@on_host
def test_pickled_objects(tmp_path):
    path = tmp_path / 'file'
    with datasets.open_pickle_dataset_writer(path) as writer:
        for value in (1, 'two', [3.0]):
            writer.write(value)
        with pytest.raises((pickle.PicklingError, AttributeError)):
            writer.write([4, lambda: None])
        writer.write(5)
    with datasets.open_pickle_dataset(path) as data:
        assert data[:] == [1, 'two', [3.0], 5]
        with pickle.loads(pickle.dumps(data)) as other:
            assert other[1] == 'two'
        with MultiprocessIterator(data, 4, shuffle=False, n_processes=4) as iterator:
            assert [iterator.next() for _ in range(5)] == [[1, 'two', [3.0], 5]] * 5
        assert data[1] == 'two'
    with pytest.raises(ValueError):
        data[0]


@on_host
def test_lines_of_text(tmp_path):
    a, b, c = tmp_path / 'a', tmp_path / 'b', tmp_path / 'c'
    a.write_text('alpha\nβ\n\nδ', encoding='utf-8')
    b.write_bytes(b'1\r\n2\r\n3\r\n4\r\n')
    c.write_text('x\n')
    lines = datasets.TextDataset(a, encoding='utf-8')
    assert lines[:] == ['alpha\n', 'β\n', '\n', 'δ']
    pairs = datasets.TextDataset(
        [a, b], encoding=['utf-8', None], newline=[None, '\r\n'], filter_func=lambda x, y: y != '3\r\n'
    )
    assert pairs[:] == [('alpha\n', '1\r\n'), ('β\n', '2\r\n'), ('δ', '4\r\n')]
    assert pairs[1] == ('β\n', '2\r\n')
    again = datasets.TextDataset([a, b], encoding='utf-8')
    other = pickle.loads(pickle.dumps(again))
    assert other[3] == ('δ', '4\n')
    with MultiprocessIterator(again, 4, shuffle=False, n_processes=4) as iterator:
        assert [iterator.next() for _ in range(5)] == [again[:]] * 5
    with pytest.raises(ValueError, match='number of lines in files does not match'):
        datasets.TextDataset([a, c], encoding='utf-8')
    with pytest.raises(ValueError, match='at least one text file'):
        datasets.TextDataset([])
    with pytest.raises(ValueError, match='length of each option'):
        datasets.TextDataset(a, encoding=['utf-8', 'utf-8'])
    for dataset in (lines, pairs, again, other):
        dataset.close()
    with pytest.raises(ValueError):
        lines[0]


@pytest.fixture
def pictures(tmp_path):
    image = pytest.importorskip('PIL.Image')
    rgb = numpy.arange(24, dtype='u1').reshape(2, 4, 3)
    image.fromarray(rgb).save(tmp_path / 'rgb.png')
    image.fromarray(rgb[:, :, 0]).save(tmp_path / 'grey.png')
    with zipfile.ZipFile(tmp_path / 'both.zip', 'w') as f:
        f.writestr('folder/', '')
        for name in ('rgb.png', 'grey.png'):
            f.write(tmp_path / name, name)
    (tmp_path / 'labels').write_text('rgb.png 3\ngrey.png 1\n')
    (tmp_path / 'paths').write_text('rgb.png\ngrey.png\n')
    return tmp_path, rgb.transpose(2, 0, 1)


@on_host
def test_images(pictures):
    folder, rgb = pictures
    zipped = datasets.ZippedImageDataset(folder / 'both.zip')
    for data in (
        datasets.ImageDataset(folder / 'paths', folder),
        zipped,
        datasets.ImageDataset(['rgb.png', 'grey.png'], folder),
        pickle.loads(pickle.dumps(zipped)),
    ):
        assert len(data) == 2
        assert data[0].dtype == data[1].dtype == numpy.float32
        numpy.testing.assert_array_equal(data[0], rgb)
        numpy.testing.assert_array_equal(data[1], rgb[:1])
    numpy.testing.assert_array_equal(zipped.get_example('grey.png'), rgb[:1])
    several = datasets.MultiZippedImageDataset([folder / 'both.zip'] * 2, dtype='u1')
    assert len(several) == 4 and several[2].dtype == numpy.uint8
    numpy.testing.assert_array_equal(several[3], rgb[:1])
    with MultiprocessIterator(zipped, 2, shuffle=False, n_processes=2) as iterator:
        for _ in range(4):
            numpy.testing.assert_array_equal(iterator.next()[0], rgb)


@on_host
def test_labelled_images(pictures):
    folder, rgb = pictures
    for data in (
        datasets.LabeledImageDataset(folder / 'labels', folder, label_dtype='int64'),
        datasets.LabeledZippedImageDataset(folder / 'both.zip', folder / 'labels', label_dtype='int64'),
    ):
        assert len(data) == 2
        image, label = data[0]
        numpy.testing.assert_array_equal(image, rgb)
        assert label == 3 and label.dtype == numpy.int64
    with pytest.raises(ValueError, match='invalid format at line 0'):
        datasets.LabeledImageDataset(folder / 'paths')
