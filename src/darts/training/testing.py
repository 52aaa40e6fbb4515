"""Test a run, or any checkpoint, on a test split."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from darts.core.artifacts import RunDirectory
from darts.core.config import build_config, keyword_settings
from darts.core.errors import CheckpointError, ConfigError, RunError
from darts.core.files import write_text
from darts.core.log import get_logger
from darts.training.checkpoint import load_checkpoint, model_config, model_state
from darts.training.config import DataConfig, Hyperparameters, TestConfig, TrainerConfig
from darts.training.datamodule import PatchDataModule
from darts.training.devices import one_device
from darts.training.model import require_model_takes
from darts.training.module import SegmentationModule
from darts.training.outcome import write_stage
from darts.training.reload import read_spec, weighted_model
from darts.training.report import write_report
from darts.training.runs import find_run
from darts.training.sample_figures import sample_figures
from darts.training.trainer import make_trainer, quieten_lightning, stoppable

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class TestResult:
    """What a test gave.

    Attributes
    ----------
    directory
        Where figures and metrics are.
    checkpoint
        What was tested.
    patches
        Number of patches it was tested on.
    metrics
        By name, such as test/JaccardIndex.
    """

    directory: Path
    checkpoint: Path
    patches: int
    metrics: dict[str, float]


def test(config: TestConfig) -> TestResult:
    """Measure a checkpoint on its test split, and draw it.

    Raises
    ------
    DartsError
        When run, checkpoint or dataset can't be found or don't fit together.
    """
    quieten_lightning()
    checkpoint, folder = locate(config)
    content = load_checkpoint(checkpoint)
    described = model_config(content, checkpoint)
    data = _test_data(config, described, checkpoint)
    module = _module(config, content, described, checkpoint, data)
    accelerator, devices = one_device(config.device)
    figures = sample_figures(data.metadata, data.split.test, data.bands, folder.figures)
    trainer = make_trainer([figures], accelerator=accelerator, devices=devices, logger=False)
    with stoppable(config.batch_size):
        trainer.test(module, datamodule=data, verbose=False, weights_only=True)
    metrics = module.metrics["test"]
    folder.path.mkdir(exist_ok=True)
    write_stage(folder, "test", module.statistics["test"], data.metadata)
    write_text(folder.test_metrics, json.dumps(metrics, indent=2) + "\n")
    if folder.config.exists():
        write_report(folder)
    return TestResult(folder.path, checkpoint, len(data.split.test), metrics)


test_smp = keyword_settings(test)
"""Test a run or a checkpoint; the keywords are the flags of `darts test-smp`, with underscores."""


def locate(config: TestConfig) -> tuple[Path, RunDirectory]:
    """The checkpoint to test, and the run directory that takes the results."""
    if config.checkpoint is not None:
        if not config.checkpoint.is_file():
            raise CheckpointError(f"there is no checkpoint file {config.checkpoint}.")
        beside = config.checkpoint.resolve().parent
        is_of_run = beside.name == "checkpoints" and RunDirectory(beside.parent).split.exists()
        return config.checkpoint, RunDirectory(
            beside.parent if is_of_run else beside / f"{config.checkpoint.stem}-test"
        )
    directory = find_run(config.artifact_dir, config.run_name, config.run_id)
    if not directory.best_checkpoint.exists():
        raise CheckpointError(
            f"the run {directory.path.name} has no best checkpoint: it was stopped before its first validation; train again."
        )
    return directory.best_checkpoint, directory


def _test_data(config: TestConfig, described: dict[str, Any], checkpoint: Path) -> PatchDataModule:
    recorded: dict[str, Any] = dict(described.get("settings", {}))
    settings = {name: recorded[name] for name in DataConfig.model_fields if name in recorded}
    settings |= {"bands": described["bands"], "in_memory": False}
    if config.train_data_dir:
        settings["train_data_dir"] = config.train_data_dir
    if config.data_split_method is not None:
        settings |= {"split_file": None}
        settings |= {"data_split_method": config.data_split_method, "data_split_by": config.data_split_by}
    if "train_data_dir" not in settings:
        raise ConfigError(
            f"--train-data-dir: {checkpoint} doesn't say what it was trained on; give a dataset directory."
        )
    data = _data_module(config, settings)
    if described.get("dataset_fingerprint", "none") != data.dataset.fingerprint:
        _other_dataset(recorded, data)
    elif recorded:
        trained = _data_module(config, settings | {n: recorded[n] for n in _SPLIT if n in recorded})
        _require_same_split(trained, described, recorded.get("split_file"))
        _require_unseen(data, trained)
    return data


_SPLIT = ("data_split_method", "data_split_by", "split_file")


def _require_same_split(trained: PatchDataModule, described: dict[str, Any], split_file: Any) -> None:
    """A split file that was edited since would call patches unseen that the model was trained on."""
    if described.get("split", trained.split_hash) != trained.split_hash:
        raise RunError(
            f"{split_file} divides the patches in another way than when the model was trained; restore it, or name another "
            "dataset with --train-data-dir."
        )


def _data_module(config: TestConfig, settings: dict[str, Any]) -> PatchDataModule:
    data = build_config(DataConfig, settings)
    assert isinstance(data, DataConfig)
    hyperparameters = Hyperparameters(batch_size=config.batch_size)
    return PatchDataModule(data, hyperparameters, TrainerConfig(num_workers=config.num_workers))


def _other_dataset(recorded: dict[str, Any], data: PatchDataModule) -> None:
    """A dataset that was built anew would be split anew, and what the model was trained on could come into the test."""
    before = recorded.get("train_data_dir", [])
    trained_on = {Path(path).resolve() for path in ([before] if isinstance(before, str) else before)}
    if trained_on & {directory.resolve() for directory in data.dataset.directories}:
        raise RunError(
            f"{data.dataset.name} was changed since the model was trained on it, so its test split may hold patches that it "
            "was trained on; build it as it was, or name another dataset with --train-data-dir."
        )
    _log.warning("%s is not the dataset that the model was trained on.", data.dataset.name)


def _require_unseen(data: PatchDataModule, trained: PatchDataModule) -> None:
    """Refuse to test on patches that the run was trained or validated on, unless it held nothing out."""
    if trained.data.data_split_method == "none":
        return
    seen = set(data.split.test.tolist()) & set(trained.split.trainval.tolist())
    if seen:
        raise RunError(
            f"the test split holds {len(seen)} patches that the model was trained or validated on; leave out "
            "--data-split-method and --data-split-by to test on what the run held out."
        )


def _module(
    config: TestConfig, content: dict[str, Any], described: dict[str, Any], checkpoint: Path, data: PatchDataModule
) -> SegmentationModule:
    spec = read_spec(described["model"], checkpoint)
    model = weighted_model(spec, model_state(content, checkpoint), checkpoint, config.model_factory)
    require_model_takes(model, spec, data.dataset.patch_size)
    return SegmentationModule(
        {
            "model": spec.as_dict(),
            "bands": described["bands"],
            "normalisation": described.get("normalisation"),
            "pos_weight": described.get("pos_weight"),
        },
        (content.get("hyper_parameters") or {}).get("hyperparameters", {}),
        model,
        rows=len(data.dataset),
        matching_iou=config.matching_iou,
    )
