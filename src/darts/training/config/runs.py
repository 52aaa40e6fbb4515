"""Settings of looking at runs; standard library and pydantic only."""

from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from pydantic import BeforeValidator, PositiveInt, model_validator

from darts.core.config import Config, Listed, OrNone
from darts.core.names import SafeName
from darts.training.config.splits import SUFFIXES


def _expressions(value: Any) -> list[str]:
    return [str(item) for item in (value if isinstance(value, (list, tuple)) else [value])]


Expressions = Annotated[tuple[str, ...], BeforeValidator(_expressions)]
"""Text that may hold commas; a repeated flag, or a TOML list."""


class RunTableConfig(Config, frozen=True):
    """Which runs are listed, in which order, and where the table goes."""

    panel: ClassVar[str] = "Runs"

    artifact_dir: Path = Path("artifacts")
    """Folder of all runs, those of cross-validations and sweeps included."""
    where: Expressions = ()
    """Only runs for which this holds, such as "model_encoder == 'resnet34' and val/JaccardIndex > 0.3": a column, one of
    == != < <= > >= and a value, several joined by and. Repeatable: all must hold."""
    sort_by: str = "val/JaccardIndex"
    """Column to sort by: metrics from the best to the worst, other numbers and times from the largest, texts from a to z."""
    ascending: bool = False
    """Sort from the smallest to the largest, whatever the column."""
    best_per: Listed[str] = ()
    """Only the first run, in the order of sort-by, for each value of this column, such as model_encoder. Repeatable: for
    each combination of values."""
    top: OrNone[PositiveInt] = None
    """Only so many runs from the start of the list."""
    columns: Listed[str] = ()
    """Columns to show; if not given, the settings in which the runs differ, and the main metrics, as many as fit."""
    output: OrNone[Path] = None
    """Also write these runs with all columns into this file, *.csv or *.parquet."""

    @model_validator(mode="after")
    def _output_is_a_table(self) -> Self:
        if self.output is not None and self.output.suffix.lower() not in SUFFIXES:
            raise ValueError(f"--output must be a file *.csv or *.parquet, but is {self.output}")
        return self


class RunChoiceConfig(Config, frozen=True):
    """Which run is shown."""

    panel: ClassVar[str] = "Runs"

    artifact_dir: Path = Path("artifacts")
    """Folder of all runs, those of cross-validations and sweeps included."""
    run_name: OrNone[SafeName] = None
    """Name of the run."""
    run_id: OrNone[SafeName] = None
    """Id of the run."""
    report: bool = False
    """Write the report of the run anew, `report.html` in its folder."""

    @model_validator(mode="after")
    def _a_run_is_named(self) -> Self:
        if not (self.run_name or self.run_id):
            raise ValueError("one of --run-name and --run-id says which run to show, but none was given")
        return self


class RunComparisonConfig(Config, frozen=True):
    """Which runs are compared, and by what."""

    panel: ClassVar[str] = "Runs"

    artifact_dir: Path = Path("artifacts")
    """Folder of all runs, those of cross-validations and sweeps included."""
    run_id: Listed[SafeName] = ()
    """Id of a run to compare. Repeatable: at least two."""
    by: OrNone[str] = None
    """Compare the runs with different values of this column, such as model_encoder or cv_name, in place of single runs."""
    where: Expressions = ()
    """Only runs for which this holds, as in `darts runs list`. Repeatable: all must hold."""
    metric: str = "val/JaccardIndex"
    """What is compared: a metric of the best checkpoint, such as val/F1Score, or test/JaccardIndex of tested runs."""

    @model_validator(mode="after")
    def _one_way_to_choose(self) -> Self:
        if bool(self.run_id) == (self.by is not None):
            raise ValueError("either --by or --run-id says what to compare, and only one of them")
        if self.run_id and len(set(self.run_id)) < 2:
            raise ValueError("a comparison needs at least two runs, so --run-id comes at least twice")
        return self

    @model_validator(mode="after")
    def _metric_is_measured(self) -> Self:
        if not self.metric.startswith(("val/", "test/")):
            raise ValueError(f"--metric is one of validation or test, val/NAME or test/NAME, but is {self.metric}")
        return self
