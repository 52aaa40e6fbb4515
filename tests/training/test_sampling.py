"""Which patches come in an epoch: each once, or by weights; the same for any number of processes."""

import numpy as np
import pandas as pd
import pytest

from darts.core.errors import ConfigError, RunError
from darts.training.config import SamplingConfig
from darts.training.sampling import LEAST_WEIGHT, PADDING, InOrder, Share, Shuffled, draw_probabilities

ROWS = np.array([3, 5, 8, 9, 12, 20, 21])


def drawn(draws, epoch=0):
    draws.set_epoch(epoch)
    return [draw.row for draw in draws]


ALONE = Share()


def shuffled(count=7, seed=1, probabilities=None, share=ALONE):
    return Shuffled(ROWS, count, seed, probabilities, share)


def table(**columns):
    count = len(next(iter(columns.values())))
    return pd.DataFrame({"empty": [False] * count, "region": ["a"] * count} | columns)


def test_an_epoch_has_every_row_once_in_an_order_of_its_own():
    draws = shuffled()
    epochs = [drawn(draws, epoch) for epoch in range(3)]
    assert all(sorted(rows) == ROWS.tolist() for rows in epochs)
    assert len({tuple(rows) for rows in epochs}) == 3
    assert drawn(draws, 1) == epochs[1]
    assert drawn(shuffled(seed=2), 1) != epochs[1]


def test_an_epoch_may_be_shorter_or_longer_than_the_dataset():
    assert len(set(drawn(shuffled(count=4)))) == 4
    long = shuffled(count=17)
    rows = drawn(long)
    assert sorted({row: rows.count(row) for row in rows}.values()) == [2] * 4 + [3] * 3
    assert sorted(rows[:7]) == sorted(rows[7:14]) == ROWS.tolist()
    assert [draw.repeat for draw in long if draw.row == rows[0]] == list(range(rows.count(rows[0])))


def test_every_draw_knows_its_epoch():
    draws = shuffled()
    draws.set_epoch(5)
    assert {draw.epoch for draw in draws} == {5}


@pytest.mark.parametrize("processes", [2, 3])
def test_processes_share_an_epoch_evenly(processes):
    shares = [drawn(shuffled(share=Share(rank, processes)), 2) for rank in range(processes)]
    assert {len(rows) for rows in shares} == {len(ROWS) // processes}
    everything = [row for rows in zip(*shares, strict=True) for row in rows]
    assert everything == drawn(shuffled(), 2)[: len(everything)]


def test_in_order_is_in_order_and_processes_are_filled_up():
    assert drawn(InOrder(ROWS, Share())) == ROWS.tolist()
    shares = [list(InOrder(ROWS, Share(rank, 2))) for rank in range(2)]
    assert [len(InOrder(ROWS, Share(rank, 2))) for rank in range(2)] == [len(share) for share in shares] == [4, 4]
    counted = [draw.row for share in shares for draw in share if draw.repeat != PADDING]
    assert sorted(counted) == ROWS.tolist()


def test_without_a_wish_nothing_is_weighted():
    assert draw_probabilities(table(empty=[True, False]), SamplingConfig()) is None


def test_the_share_of_positives_is_what_was_asked_for():
    train = table(empty=[True] * 6 + [False])
    probabilities = draw_probabilities(train, SamplingConfig(positive_fraction=0.25))
    assert probabilities[-1] == pytest.approx(0.25)
    rows = drawn(shuffled(count=4000, probabilities=probabilities))
    assert rows.count(ROWS[-1]) / 4000 == pytest.approx(0.25, abs=0.03)


@pytest.mark.parametrize("empty", [[True] * 3, [False] * 3])
def test_a_share_of_what_is_not_there_is_refused(empty):
    with pytest.raises(RunError, match=r"needs train patches with and without positive pixels, but \d of 3"):
        draw_probabilities(table(empty=empty), SamplingConfig(positive_fraction=0.5))


def test_balanced_values_come_equally_often():
    train = table(region=["a", "a", "a", "b"])
    probabilities = draw_probabilities(train, SamplingConfig(balance_by="region"))
    np.testing.assert_allclose(probabilities, [1 / 6, 1 / 6, 1 / 6, 1 / 2])


def test_weights_are_sums_of_columns_times_factors_and_none_is_zero():
    train = table(positive_fraction=[0.0, 0.5, 1.0], cloud=[1.0, 0.0, 0.0])
    sampling = SamplingConfig(sample_weights=("positive_fraction:3", "cloud:-1"))
    total = np.array([-1.0, 1.5, 3.0])
    expected = LEAST_WEIGHT + (1 - LEAST_WEIGHT) * (total + 1) / 4
    np.testing.assert_allclose(draw_probabilities(train, sampling), expected / expected.sum())


def test_equal_weights_are_uniform():
    probabilities = draw_probabilities(table(cloud=[2.0, 2.0]), SamplingConfig(sample_weights="cloud:1"))
    np.testing.assert_allclose(probabilities, [0.5, 0.5])


def test_a_factor_favours_what_its_sign_says():
    train = table(empty=[True, False])
    favoured = draw_probabilities(train, SamplingConfig(sample_weights="empty:1"))
    avoided = draw_probabilities(train, SamplingConfig(sample_weights="empty:-1"))
    assert favoured[0] > favoured[1]
    assert avoided[0] < avoided[1]


@pytest.mark.parametrize("sampling", [SamplingConfig(sample_weights="clouds:1"), SamplingConfig(balance_by="clouds")])
def test_a_column_that_is_not_there_is_named_with_those_that_are(sampling):
    with pytest.raises(ConfigError, match=r"has no column clouds; there are empty, region"):
        draw_probabilities(table(empty=[True, False]), sampling)


def test_a_column_without_numbers_is_refused():
    with pytest.raises(ConfigError, match="the column region must hold numbers"):
        draw_probabilities(table(empty=[True, False]), SamplingConfig(sample_weights="region:1"))
