"""What is told about one run beside its metrics: changed settings, scores by place, speed, and what to do next."""

import functools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from darts.core.artifacts import CROSS_VALIDATIONS, RUNS, RunDirectory
from darts.core.config import to_toml_value
from darts.core.errors import RunError, one_line
from darts.training.config import DataConfig, Hyperparameters, RunLoggingConfig, TrainerConfig
from darts.training.run_record import ALL_REGIONS, RunRecord

_GROUPS = (DataConfig, Hyperparameters, TrainerConfig, RunLoggingConfig)
_COUNTS = ["tp", "fp", "fn", "tn"]


def changed_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The recorded settings that aren't defaults, those that have no default, and those that are no longer known."""
    return {name: value for name, value in settings.items() if not _is_default(name, value)}


def _is_default(name: str, value: Any) -> bool:
    """Whether a recorded value is the default, however it was written: `true`, say, may stand for a list."""
    known = _fields().get(name)
    if known is None:
        return False
    adapter, default = known
    try:
        return bool(adapter.validate_python(value) == adapter.validate_python(default))
    except ValidationError:
        return False


@functools.cache
def _fields() -> dict[str, tuple[TypeAdapter[Any], Any]]:
    """Every setting of a run that has a default: how it is read, and the default as it is recorded."""
    return {
        name: (
            _adapter(field),
            to_toml_value(field.get_default(call_default_factory=True)),
        )
        for group in _GROUPS
        for name, field in group.model_fields.items()
        if not field.is_required()
    }


def _adapter(field: FieldInfo) -> TypeAdapter[Any]:
    annotation: Any = Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation
    return TypeAdapter(annotation, config=ConfigDict(coerce_numbers_to_str=True))


def scores_by(run: RunRecord, what: str) -> pd.DataFrame:
    """Pixels and metrics of the best checkpoint by place, from the worst to the best; empty if they aren't known.

    Parameters
    ----------
    what
        `region` or `scene`.

    Returns
    -------
    pd.DataFrame
        split, what, pixels, tp, fp, fn, tn and metrics. Places without a positive pixel, whose IoU says nothing, come last.

    Raises
    ------
    RunError
        When the file is damaged.
    """
    path = run.directory.regions if what == "region" else run.directory.scenes
    regions = run.confusion[run.confusion["region"] != ALL_REGIONS]
    if path.is_file():
        table = _read_table(path, ("split", what), ["pixels", *_COUNTS, "JaccardIndex"])
    elif what == "region" and len(regions):
        table = _scores_of(regions)
    else:
        return pd.DataFrame(columns=["split", what, "pixels", *_COUNTS, "JaccardIndex"])
    has_none = (table["tp"] + table["fn"] == 0).rename("has_none")
    order = pd.concat([has_none, table[["JaccardIndex", what]]], axis=1).sort_values(["has_none", "JaccardIndex", what])
    return table.loc[order.index].reset_index(drop=True)


def _scores_of(confusion: pd.DataFrame) -> pd.DataFrame:
    from darts.training.metrics import Confusion, confusion_metrics

    counts = [Confusion(*(int(row[name]) for name in _COUNTS)) for _, row in confusion.iterrows()]
    scores = pd.DataFrame([confusion_metrics(one) for one in counts], index=confusion.index)
    return pd.concat([confusion.assign(pixels=confusion[_COUNTS].sum(axis=1)), scores], axis=1)


def throughput(run: RunRecord) -> pd.DataFrame:
    """How fast every epoch was: epoch (from 0), seconds, samples_per_second, waiting_share in [0, 1]; empty if not measured.

    Raises
    ------
    RunError
        When the file is damaged.
    """
    columns = ["epoch", "seconds", "samples_per_second", "waiting_share"]
    path = run.directory.throughput
    return _read_table(path, (), columns) if path.is_file() else pd.DataFrame(columns=columns)


def roles(run: RunRecord) -> pd.DataFrame:
    """The patches of the run with their roles, as `split.parquet` holds them; empty if it isn't there.

    Raises
    ------
    RunError
        When the file is damaged.
    """
    path = run.directory.split
    if not path.is_file():
        return pd.DataFrame(columns=["row", "region", "role"])
    try:
        table = pd.read_parquet(path)
        return table.assign(region=table["region"].astype(str), role=table["role"].astype(str))
    except (OSError, ValueError, KeyError) as error:
        raise _damaged(path, error) from None


def _read_table(path: Path, names: tuple[str, ...], numbers: list[str]) -> pd.DataFrame:
    """A CSV file whose other columns than `names` are numbers; a place may be called NA."""
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
        missing = {*names, *numbers} - set(table.columns)
        if missing:
            raise ValueError(f"the columns {', '.join(sorted(missing))} are missing")
        others = [name for name in table.columns if name not in names]
        return table.assign(**{name: pd.to_numeric(table[name].replace("", "nan")) for name in others})
    except (OSError, ValueError) as error:
        raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> RunError:
    return RunError(f"{path} is damaged ({one_line(error, 120)}); remove it, or test the run again.")


def next_commands(run: RunRecord, artifact_dir: Path) -> Iterator[tuple[str, ...]]:
    """What to type next, most useful first; nothing for an unfinished run of a sweep, which its runners make again.

    Parameters
    ----------
    artifact_dir
        Folder of all runs.
    """
    directory, run_id = RunDirectory(run.directory.path.resolve()), run.name_and_id[1]
    parent = directory.path.parent
    if run.is_finished:
        if not run.test_metrics:
            yield ("darts", "test-smp", "--artifact-dir", str(artifact_dir), "--run-id", run_id)
        best = str(directory.best_checkpoint)
        yield ("darts", "convert-lightning-checkpoint", "--lightning-checkpoint", best, "--out-directory", "models")
    elif parent.name == RUNS:
        yield ("darts", "train-smp", "--config-file", str(directory.config), "--resume", run_id)
    elif parent.parent.name == CROSS_VALIDATIONS:
        config = str(parent / directory.config.name)
        yield ("darts", "cross-validation-smp", "--config-file", config, "--cv-name", parent.name)
