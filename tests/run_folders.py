"""Folders as runs leave them, written by hand: nothing is trained."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import tomli_w

from darts.core.artifacts import RunDirectory, run_directory
from darts.core.config import build_config, resolved_settings
from darts.core.files import write_text
from darts.training.config import DataConfig, Hyperparameters, RunLoggingConfig, TrainerConfig

GROUPS = (DataConfig, Hyperparameters, TrainerConfig, RunLoggingConfig)
COUNTS = {"tp": 6000, "fp": 1000, "fn": 2000, "tn": 91000}
REGIONS = {"West": (4000, 200, 500, 50000), "East": (2000, 800, 1500, 41000)}


def settings_record(artifact_dir: Path, fold: int, seed: int, **settings: Any) -> dict[str, Any]:
    given = {"train_data_dir": "data/s2", "data_split_method": "region", "data_split_by": "North", "fold": fold}
    given |= {"random_seed": seed, "artifact_dir": artifact_dir, **settings}
    configs = [
        build_config(group, {name: value for name, value in given.items() if name in group.model_fields})
        for group in GROUPS
    ]
    return resolved_settings(*configs)


def history(scores: Sequence[float]) -> pd.DataFrame:
    """An epoch for each score, with losses that fall."""
    rows = [
        {"epoch": epoch, "step": 10 * epoch + 9, "train/loss": 0.5 / (epoch + 1), "train/JaccardIndex": score + 0.01}
        | {"val/loss": 0.6 / (epoch + 1), "val/JaccardIndex": score, "val/F1Score": 2 * score / (1 + score)}
        for epoch, score in enumerate(scores)
    ]
    return pd.DataFrame(rows)


def split_table(val_rows: Sequence[int] = range(6, 12)) -> pd.DataFrame:
    roles = [(row, "val" if row in val_rows else "train") for row in range(18)] + [
        (row, "test") for row in range(18, 24)
    ]
    regions = {"train": ("South", "Mid"), "val": ("West", "East"), "test": ("North", "North")}
    return pd.DataFrame(
        [
            {"row": row, "sample_id": f"scene-{row // 3}", "region": regions[role][row % 2], "role": role}
            for row, role in roles
        ]
    )


def confusion_table(split: str = "val") -> pd.DataFrame:
    parts = {"(all)": tuple(COUNTS.values()), **REGIONS}
    return pd.DataFrame(
        [{"split": split, "region": name, **dict(zip(COUNTS, part, strict=True))} for name, part in parts.items()]
    )


def regions_table(split: str = "val") -> pd.DataFrame:
    table = confusion_table(split).query("region != '(all)'")
    tp, fp, fn = table["tp"], table["fp"], table["fn"]
    return table.assign(
        pixels=table[list(COUNTS)].sum(axis=1),
        JaccardIndex=tp / (tp + fp + fn),
        F1Score=2 * tp / (2 * tp + fp + fn),
        Precision=tp / (tp + fp),
        Recall=tp / (tp + fn),
    )


def make_run_folder(
    artifact_dir: Path,
    name: str = "first",
    run_id: str = "00000001",
    *,
    cv_name: str | None = None,
    tune_name: str | None = None,
    fold: int = 0,
    seed: int = 42,
    scores: Sequence[float] = (0.2, 0.5, 0.4),
    finished: bool = True,
    tested: Mapping[str, float] | None = None,
    val_rows: Sequence[int] = range(6, 12),
    **settings: Any,
) -> RunDirectory:
    """A run whose val/JaccardIndex was `scores` after its epochs."""
    directory = run_directory(artifact_dir, name, run_id, cv_name, tune_name)
    directory.checkpoints.mkdir(parents=True)
    record = settings_record(artifact_dir, fold, seed, **settings)
    record |= {"run_name": name, "run_id": run_id, "dataset_fingerprint": "sha256:abc", "git_commit": "0123abc"}
    record |= {"versions": ["darts 0.1.0", "torch 2.0"]}
    write_text(directory.config, tomli_w.dumps({"darts": record}))
    split_table(val_rows).to_parquet(directory.split, index=False)
    epochs = history(scores)
    if len(epochs):
        epochs.to_csv(directory.metrics, index=False)
        directory.best_checkpoint.touch()
        directory.last_checkpoint.touch()
    if finished:
        best = epochs.loc[epochs["val/JaccardIndex"].idxmax()]
        metrics = {column: float(best[column]) for column in epochs.columns if column.startswith("val/")}
        result = {"run_name": name, "run_id": run_id, "fold": fold, "seed": seed, "epochs": len(epochs)}
        result |= {"directory": str(directory.path), "checkpoint": str(directory.best_checkpoint)}
        write_text(directory.result, json.dumps(result | {"duration": 75.0, "metrics": metrics}))
        confusion_table().to_parquet(directory.confusion, index=False)
        regions_table().to_csv(directory.regions, index=False)
    if tested is not None:
        write_text(directory.test_metrics, json.dumps(dict(tested)))
        pd.concat([confusion_table(), confusion_table("test")]).to_parquet(directory.confusion, index=False)
        pd.concat([regions_table(), regions_table("test")]).to_csv(directory.regions, index=False)
    return directory
