"""Derived seeds depend on what they are for, and on nothing else."""

import hashlib
import subprocess
import sys

from darts.core.seeds import SPLIT_SEED, derive_seed


def test_a_seed_is_the_beginning_of_a_hash_of_its_parts():
    digest = hashlib.sha256(b"42\x1forder\x1f3").digest()
    assert derive_seed(42, "order", 3) == int.from_bytes(digest[:8], "big") // 2


def test_different_parts_give_different_seeds_that_any_generator_takes():
    parts = [(seed, use, epoch) for seed in range(10) for use in ("a", "b") for epoch in range(50)]
    seeds = {derive_seed(*part) for part in parts}
    assert len(seeds) == len(parts)
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_parts_do_not_run_into_each_other():
    assert len({derive_seed("ab", "c"), derive_seed("a", "bc"), derive_seed("abc"), derive_seed("a", "b", "c")}) == 4


def test_a_seed_is_the_same_in_every_process():
    code = "from darts.core.seeds import derive_seed; print(derive_seed(42, 'augment', 1, 2))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60).stdout
    assert int(out) == derive_seed(42, "augment", 1, 2)


def test_splits_are_seeded_with_42():
    assert SPLIT_SEED == 42
