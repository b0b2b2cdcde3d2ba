"""Tables and their views, against the same operations on a matrix."""

import numpy
import pytest

from chainlite.dataset import TabularDataset, concat_examples, tabular
from chainlite.testing import assert_allclose

DATA = numpy.arange(30.0).reshape(3, 10)  # a row of this is a column of the table


@pytest.fixture(params=['lists', 'numpy', pytest.param('cupy', marks=pytest.mark.gpu)])
def made_of(request):
    return request.param


@pytest.fixture
def xp(made_of):
    """Whose arrays the columns are, or become if they are lists."""
    return numpy if made_of == 'lists' else pytest.importorskip(made_of)


@pytest.fixture
def table(made_of, xp):
    make = list if made_of == 'lists' else xp.asarray
    return tabular.from_data({key: make(column) for key, column in zip('abc', DATA)})


def columns(dataset, indices=None, key_indices=None):
    return numpy.array([[float(x) for x in column] for column in dataset.get_examples(indices, key_indices)])


def test_rows_have_the_form_of_the_mode(table):
    assert len(table) == 10 and table.keys == ('a', 'b', 'c') and table.mode is dict
    assert table[3] == {'a': 3.0, 'b': 13.0, 'c': 23.0}
    assert table.astuple()[3] == (3.0, 13.0, 23.0)
    assert table.astuple().asdict()[3] == table[3]
    assert table.slice[:, 'b'][3] == 13.0 and table.slice[:, 'b'].mode is None
    assert list(table)[9] == table[9]
    assert [row['a'] for row in table[2:4]] == [2.0, 3.0]


def test_fetched_columns_become_arrays(table, xp):
    arrays = table.convert(table.fetch())
    assert all(isinstance(array, xp.ndarray) for array in arrays.values())
    assert_allclose(xp.stack(list(arrays.values())), DATA, rtol=0, atol=0)
    assert isinstance(table.astuple().convert(table.astuple().fetch()), tuple)
    assert_allclose(table.slice[:, 'c'].convert(table.slice[:, 'c'].fetch()), DATA[2], rtol=0, atol=0)


INDICES = [None, [1], [3, 0, 3], slice(0, 2), slice(2, None, -1), slice(None), []]


@pytest.mark.parametrize('rows', [slice(None), slice(2, 9, 2), slice(8, None, -2), [7, 1, 4, -1], [True, False] * 5])
@pytest.mark.parametrize('indices', INDICES)
def test_rows_are_sliced(table, rows, indices):
    view = table.slice[rows]
    expected = DATA[:, rows]
    assert len(view) == expected.shape[1]
    if indices is not None:
        expected = expected[:, indices]
    numpy.testing.assert_array_equal(columns(view, indices).reshape(expected.shape), expected)
    numpy.testing.assert_array_equal(columns(view, indices, (2, 0)).reshape(2, -1), expected[[2, 0]])


def test_columns_are_sliced(table):
    view = table.slice[2:4, ('c', 0)]
    assert view.keys == ('c', 'a') and view.mode is dict
    numpy.testing.assert_array_equal(columns(view), DATA[[2, 0], 2:4])
    numpy.testing.assert_array_equal(columns(view, None, (1,)), DATA[[0], 2:4])


@pytest.mark.parametrize(
    'index, error',
    [
        ([10], IndexError),
        ([-11], IndexError),
        ([True] * 9, ValueError),
        ((slice(None), 'd'), KeyError),
        ((slice(None), 3), IndexError),
    ],
)
def test_what_is_not_there_is_an_error(table, index, error):
    with pytest.raises(error):
        table.slice[index]


@pytest.mark.parametrize(
    'indices',
    [None, [3, 12, 0, 14], slice(None, None, -1), slice(13, 6, -2), slice(8, 13, 3), slice(11, 14), slice(3, 3), []],
)
def test_tables_are_put_on_top_of_each_other(table, indices):
    other = tabular.from_data({key: column for key, column in zip('abc', -DATA[:, :5])})
    view = table.concat(other)
    whole = numpy.hstack([DATA, -DATA[:, :5]])
    assert len(view) == 15 and view.keys == table.keys
    expected = whole if indices is None else whole[:, indices]
    numpy.testing.assert_array_equal(columns(view, indices).reshape(expected.shape), expected)
    with pytest.raises(ValueError, match='the same keys'):
        table.concat(table.slice[:, ('a', 'b')])


@pytest.mark.parametrize('key_indices', [None, (4, 0), (3,), (1, 2), ()])
def test_tables_are_put_side_by_side(table, key_indices):
    other = tabular.from_data((('d', -DATA[0]), ('e', -DATA[1])))
    view = table.join(other)
    assert view.keys == ('a', 'b', 'c', 'd', 'e') and view.mode is dict
    expected = numpy.vstack([DATA, -DATA[:2]])[:, [4, 2]]
    expected = expected if key_indices is None else expected[list(key_indices)]
    numpy.testing.assert_array_equal(columns(view, [4, 2], key_indices).reshape(expected.shape), expected)
    with pytest.raises(ValueError, match='unique'):
        table.join(table)
    with pytest.raises(ValueError, match='the same length'):
        table.join(other.slice[:3])


def test_columns_are_computed(table, xp):
    view = table.transform(('sum', 'b'), lambda a, b, c: (a + b + c, b))
    assert view.keys == ('sum', 'b') and view.mode is tuple and view[1] == (33.0, 11.0)
    numpy.testing.assert_array_equal(columns(view, slice(2), (1, 0)), [DATA[1, :2], DATA.sum(axis=0)[:2]])
    batched = table.astuple().transform_batch('sum', lambda *columns: sum(map(xp.asarray, columns)))
    assert batched.mode is None and batched[1] == 33.0
    assert table.transform('d', lambda a, b, c: {'d': c})[0] == {'d': 20.0}


def test_computed_columns_keep_their_form(table):
    results = iter([(1,), {'d': 1}])
    view = table.transform(('d',), lambda a, b, c: next(results))
    view.get_examples([0], None)
    with pytest.raises(ValueError, match='must not change its mode'):
        view.get_examples([0], None)
    with pytest.raises(ValueError, match='must not change the length'):
        table.transform_batch('d', lambda a, b, c: list(a) + [0]).fetch()


def test_a_converter_is_replaced(table):
    view = table.with_converter(lambda a, b, c: concat_examples(c))
    assert_allclose(view.convert(view.fetch()), DATA[2], rtol=0, atol=0)
    assert isinstance(view, TabularDataset)


@pytest.mark.host('nothing of a device is in the table')
def test_tables_of_functions():
    table = tabular.from_data({'x': [5, 6, 7], ('y', 'z'): lambda i: (i, -i)})
    assert len(table) == 3 and table.keys == ('x', 'y', 'z')
    assert table[2] == {'x': 7, 'y': 2, 'z': -2}
    assert tabular.from_data(('x', lambda i: i * i), size=4)[3] == 9
    assert tabular.from_data((('x', 'y'), lambda i: {'x': i, 'y': 0}), size=4)[3] == {'x': 3, 'y': 0}
    for data in (lambda i: i, ('x', lambda i: i), ([1, 2], [1])):
        with pytest.raises(ValueError):
            tabular.from_data(data)


def test_a_delegate_is_its_table(table):
    view = tabular.DelegateDataset(table)
    assert view.dataset is table and view[3] == table[3] and (view.keys, view.mode) == (table.keys, table.mode)
