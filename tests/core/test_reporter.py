"""Reporting values, and their running statistics."""

import threading

import numpy as np
import pytest
from comparing import assert_allclose, assert_array_equal, host

import chainlite
import chainlite.functions as F
from chainlite import Chain, DictSummary, Link, Reporter, Summary, report, report_scope, serializers


@pytest.mark.host('dictionaries of the host')
def test_values_go_to_the_current_reporter():
    report({'x': 0})  # to nobody
    with Reporter() as outer, Reporter() as inner:
        assert chainlite.get_current_reporter() is inner
        report({'x': 1})
    assert inner.observation == {'x': 1} and outer.observation == {}


@pytest.mark.host('dictionaries of the host')
def test_observers_prefix_their_values():
    model = Chain(a=Chain(b=Link()))
    reporter = Reporter()
    reporter.add_observer('main', model)
    reporter.add_observers('main', model.namedlinks(skipself=True))
    with reporter:
        report({'x': 1}, model)
        report({'y': 2}, model.a.b)
    assert reporter.observation == {'main/x': 1, 'main/a/b/y': 2}


@pytest.mark.host('dictionaries of the host')
def test_unknown_observers_are_refused():
    reporter = Reporter()
    with reporter, pytest.raises(KeyError, match='Given observer is not registered to the reporter'):
        report({'x': 1}, object())
    assert reporter.observation == {}


@pytest.mark.host('dictionaries of the host')
def test_scopes_collect_apart():
    reporter = Reporter()
    with reporter:
        report({'x': 1})
        inside = {}
        with report_scope(inside):
            report({'x': 2})
        again = {}
        with reporter.scope(again):
            report({'x': 3})
        report({'y': 4})
    assert (reporter.observation, inside, again) == ({'x': 1, 'y': 4}, {'x': 2}, {'x': 3})


@pytest.mark.host('dictionaries of the host')
def test_a_scope_ends_when_its_body_raises():
    reporter = Reporter()
    outer = reporter.observation
    with pytest.raises(ZeroDivisionError):
        with reporter.scope({}):
            raise ZeroDivisionError
    assert reporter.observation is outer
    with pytest.raises(IndexError, match='no reporter is current'):
        chainlite.get_current_reporter()


@pytest.mark.host('dictionaries of the host')
def test_each_thread_has_its_own_reporter():
    seen = []
    with Reporter() as reporter:
        thread = threading.Thread(target=lambda: (report({'x': 1}), seen.append(reporter.observation.copy())))
        thread.start()
        thread.join()
    assert seen == [{}]


@pytest.mark.parametrize('keep', [False, True])
def test_reported_variables_keep_their_graph_on_request_only(xp, keep):
    x = chainlite.Variable(xp.ones(2, np.float32))
    y = F.sum(x)
    with Reporter() as reporter, chainlite.using_config('keep_graph_on_report', keep):
        report({'y': y})
    observed = reporter.observation['y']
    assert (observed.creator_node is not None) == keep
    assert observed.array is y.array and y.creator_node is not None


# -- statistics --

VALUES = [1.5, np.float32(-2), np.array(4.0, np.float16), 3, np.int32(7)]


def test_mean_and_deviation(xp):
    summary = Summary()
    for value in VALUES:
        summary.add(xp.asarray(value) if isinstance(value, np.ndarray) else value)
    assert host(summary.compute_mean()) == pytest.approx(np.mean(VALUES))
    assert [host(a) for a in summary.make_statistics()] == pytest.approx([np.mean(VALUES), np.std(VALUES)])


def test_weights_count_as_repetitions(xp):
    summary = Summary()
    summary.add(2.0, 3)
    summary.add(np.float32(4), xp.array(1.0))
    assert [host(a) for a in summary.make_statistics()] == pytest.approx([2.5, np.std([2, 2, 2, 4])])


def test_arrays_are_averaged_by_element(xp):
    summary = Summary()
    for row in ([1, 2], [3, 2]):
        summary.add(xp.array(row))
    mean, deviation = summary.make_statistics()
    assert_allclose(mean, [2, 2])
    assert_allclose(deviation, [1, 0])


def test_added_arrays_are_not_changed(xp):
    summary, x = Summary(), xp.ones(2)
    summary.add(x)
    summary.add(x)
    assert_array_equal(x, [1, 1])


def test_half_precision_values_are_summed_in_double(xp):
    summary = Summary()
    for _ in range(5000):
        summary.add(xp.array(1.0, np.float16))
    assert summary.compute_mean() == 1 and summary._n == 5000


@pytest.mark.host('Python numbers')
def test_equal_values_have_no_deviation():
    summary = Summary()
    for _ in range(3):
        summary.add(0.1)
    assert summary.make_statistics() == pytest.approx((0.1, 0))


def test_dictionaries_are_averaged_by_key_and_only_scalars(xp):
    summary = DictSummary()
    v = chainlite.Variable(xp.array(5.0, np.float32))
    summary.add({'a': 1.0, 'b': xp.array(2.0), 'v': v, 'skipped': xp.ones(2)})
    summary.add({'a': 3.0, 'c': 9, 'none': None})
    assert summary.compute_mean() == {'a': 2, 'b': 2, 'v': 5, 'c': 9}
    assert summary.make_statistics() == {'a': 2, 'a.std': 1, 'b': 2, 'b.std': 0, 'v': 5, 'v.std': 0, 'c': 9, 'c.std': 0}


def test_pairs_are_values_with_weights(xp):
    summary = DictSummary()
    summary.add({'a': (1.0, 0.5)})
    summary.add({'a': (3.0, chainlite.Variable(xp.array(1.5)))})
    assert host(summary.compute_mean()['a']) == pytest.approx(2.5)
    summary.add({'b': (1.0, 2.0, 'a note')})
    assert summary.compute_mean()['b'] == 1


@pytest.mark.parametrize('weight', [lambda xp: xp.ones(1), lambda xp: chainlite.Variable(xp.ones(2))])
def test_weights_must_be_scalars_or_nothing_is_added(xp, weight):
    summary = DictSummary()
    with pytest.raises(ValueError, match='Given weight to b was not scalar'):
        summary.add({'a': 1.0, 'b': (1.0, weight(xp))})
    assert summary.compute_mean() == {}


@pytest.mark.parametrize('weights', [(1, 1, 1), (0.5, 1.5, 2)])
def test_statistics_go_on_after_saving_and_loading(xp, tmp_path, weights):
    path = tmp_path / 'summary.npz'
    saved, whole, loaded = DictSummary(), DictSummary(), DictSummary()
    for value, weight in zip(xp.array([1.0, 4.0]), weights):
        saved.add({'a/b': (value, weight), '/a': 3})
        whole.add({'a/b': (value, weight), '/a': 3})
    loaded.add({'gone': 1})
    serializers.save_npz(path, saved)
    serializers.load_npz(path, loaded)
    for summary in (whole, loaded):
        summary.add({'a/b': (7.0, weights[2])})
    found, expected = [{k: float(a) for k, a in s.make_statistics().items()} for s in (loaded, whole)]
    assert found == pytest.approx(expected)
    assert type(loaded._summaries['/a']._n) is int


@pytest.mark.host('reads files')
def test_files_of_old_versions_have_no_statistics(tmp_path):
    path = tmp_path / 'old.npz'
    np.savez(path, dummy=0)
    summary, scalar = DictSummary(), Summary()
    summary.add({'a': 1})
    scalar.add(1)
    with pytest.warns(UserWarning, match='The names of statistics are not saved.'):
        serializers.load_npz(path, summary)
    with pytest.warns(UserWarning, match='The previous statistics are not saved.'):
        serializers.load_npz(path, scalar)
    assert summary.compute_mean() == {} and scalar._n == 0
