"""Scenes in several processes, on a cluster, and within a limit of memory."""

import operator
import os

import psutil
import pytest

from darts.core.errors import ConfigError, DartsError
from darts.preprocess import parallel, preprocess_s2_train_data
from darts.preprocess.config import ExecutionConfig, parse_size
from darts.preprocess.parallel import fit_workers, memory_limit, run_in_order

from .conftest import write_stack_scene
from .test_pipeline import SMALL, tree


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_results_come_in_the_order_of_the_tasks(workers):
    assert list(run_in_order(operator.neg, range(7), workers)) == [0, -1, -2, -3, -4, -5, -6]


def test_no_more_workers_than_fit_into_the_memory():
    assert fit_workers(4, needed=3 * 2**30, limit=10 * 2**30) == 3
    assert fit_workers(4, needed=3 * 2**30, limit=None) == 4
    assert fit_workers(2, needed=3 * 2**30, limit=100 * 2**30) == 2
    assert fit_workers(4, needed=3 * 2**30, limit=2**30) == 1


@pytest.mark.parametrize(
    ("text", "size"), [("8GB", 8 * 2**30), ("1.5 GiB", 3 * 2**29), ("500mb", 500 * 2**20), ("64K", 65536), ("12", 12)]
)
def test_sizes(text, size):
    assert parse_size(text) == size
    assert memory_limit(text) == size


def test_limits_that_are_no_size():
    assert memory_limit("none") is None
    assert 0 < memory_limit("auto") < psutil.virtual_memory().total
    with pytest.raises(ConfigError, match="a size such as 8GB or 500MB, auto, or none, but got 'much'"):
        ExecutionConfig(memory_limit="much")


def test_a_small_limit_changes_no_byte_and_is_said(tmp_path, caplog):
    for seed, name in enumerate("abc"):
        write_stack_scene(tmp_path / "scenes", name, seed=seed)
    settings = {"sentinel2_dir": tmp_path / "scenes"} | SMALL
    preprocess_s2_train_data(train_data_dir=tmp_path / "one", **settings)
    tight = settings | {"workers": 2, "memory_limit": "10MB"}
    preprocess_s2_train_data(train_data_dir=tmp_path / "tight", **tight)
    assert "it is worked on alone" in caplog.text
    assert tree(tmp_path / "tight") == tree(tmp_path / "one")


@pytest.fixture(scope="module")
def cluster():
    distributed = pytest.importorskip("distributed")
    before = dict(os.environ)
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1"
    ) as cluster:
        # It tells processes to compute with one thread; those of later tests must not inherit that.
        os.environ.clear()
        os.environ.update(before)
        yield cluster.scheduler_address


def test_a_cluster_writes_the_same_bytes(tmp_path, monkeypatch, cluster):
    for seed, name in enumerate("abc"):
        write_stack_scene(tmp_path / "scenes", name, seed=seed)
    damaged = next((tmp_path / "scenes" / "b").glob("*_SR*"))
    damaged.write_bytes(damaged.read_bytes()[:-2000])
    settings = {"sentinel2_dir": tmp_path / "scenes"} | SMALL
    preprocess_s2_train_data(train_data_dir=tmp_path / "here", **settings)
    monkeypatch.chdir(tmp_path)  # the workers have another working directory
    result = preprocess_s2_train_data(train_data_dir="there", dask_scheduler=cluster, **settings)
    assert [name[0] for name in result.failed] == ["b"]
    assert tree(tmp_path / "there") == tree(tmp_path / "here")


def test_no_scheduler_answers(monkeypatch):
    monkeypatch.setattr(parallel, "SECONDS_TO_CONNECT", 1)
    with pytest.raises(DartsError, match=r"no scheduler answers at tcp://127\.0\.0\.1:9 "):
        list(run_in_order(operator.neg, [1], 0, "tcp://127.0.0.1:9"))


def test_a_cluster_without_dask(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "distributed", None)
    with pytest.raises(DartsError, match=r"pip install 'darts\[dask\]'"):
        list(run_in_order(operator.neg, [1], 0, "tcp://127.0.0.1:9"))
