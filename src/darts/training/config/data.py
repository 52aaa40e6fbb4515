"""Which patches are read, and how they are divided."""

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveInt,
    model_validator,
)

from darts.core.config import Config, Listed, OrNone, setting_to_flag

SplitMethod = Literal["none", "random", "region", "sample"]
FoldMethod = Literal["kfold", "shuffle", "stratified", "region", "region-stratified", "region-kfold", "spatial", "none"]


def texts(value: Any) -> list[str]:
    """One value or several, as text: names that may hold commas."""
    return [str(item) for item in (value if isinstance(value, (list, tuple)) else [value])]


def directories(value: Any) -> Any:
    """One folder or several, as a list; a comma belongs to the name."""
    return value if isinstance(value, (list, tuple)) else [value]


def _some_directory(value: tuple[Path, ...]) -> tuple[Path, ...]:
    if not value or len(set(value)) < len(value):
        raise ValueError("a dataset directory is given at least once, and none twice")
    return value


Directories = Annotated[tuple[Path, ...], BeforeValidator(directories), AfterValidator(_some_directory)]


_MEANT_FOR = {
    "group_by": ("region", "region-kfold", "region-stratified"),
    "stratify_by": ("stratified", "shuffle", "region-stratified", "spatial"),
    "block_size_km": ("spatial",),
}
"""The fold methods that a setting says something to."""


class DatasetConfig(Config, frozen=True):
    """Which patches are read, and how they are divided."""

    panel: ClassVar[str] = "Data"

    train_data_dir: Directories
    """Dataset directory that a preprocess command wrote. Repeatable: several are read as one, with bands matched by name."""
    bands: Listed[str] = ()
    """Bands to train on, in this order; all bands of the dataset if not given."""
    in_memory: bool = False
    """Read all patches into memory before training."""
    subsample: OrNone[PositiveInt] = None
    """Use only this many patches of the dataset, drawn with seed 42 before it is split."""
    data_split_method: SplitMethod = "none"
    """How the test split is chosen. `random`: a share of the patches; `region`: all patches of some regions; `sample`: all
    patches of some scenes; `none`: test = train, with a warning."""
    data_split_by: Annotated[tuple[str, ...], BeforeValidator(texts)] = ()
    """What goes into the test split: the share to test on, in (0, 1), for `random` (0.2 if not given); names of regions or
    scenes for `region` and `sample`. Repeatable."""
    fold_method: FoldMethod = "kfold"
    """How the other patches are divided into train and val. `kfold`: blocks in order; `stratified`: equal shares of empty
    patches; `shuffle`: as stratified, drawn anew for each fold; `region`: random regions, drawn anew for each fold, so that
    one may come twice and another never; `region-kfold`: every region held out exactly once; `region-stratified`: regions
    kept together, equal shares of empty patches; `spatial`: squares on the ground kept together, equal shares of empty
    patches; `none`: val = train."""
    total_folds: int = Field(default=5, ge=2)
    """Number of folds; the share of val is 1 / total-folds."""
    group_by: str = "region"
    """What the methods that begin with region keep together: a column of the metadata, such as region, sample_id, cell_id or
    dataset; or `overlap`: patches that share ground or content, directly or by others."""
    stratify_by: Listed[str] = ()
    """Columns of the metadata whose values the stratified methods share out equally, in place of `empty`. Repeatable."""
    block_size_km: float = Field(default=10.0, gt=0)
    """Side of the squares of `--fold-method spatial`, in kilometres."""
    buffer_km: NonNegativeFloat = 0.0
    """With `--fold-method spatial`, train patches nearer than this to a patch of val or test are left out, in kilometres."""
    split_file: OrNone[Path] = None
    """Take test, train and val patches from this file (parquet or CSV, as a run's split.parquet or make-split write it), and
    not from the methods above; with --fold-method none, train on train and val."""
    allow_overlap: bool = False
    """Keep train patches that share ground or content with one of val or test; they are left out otherwise."""
    require_positive_in_val: bool = False
    """Refuse a fold whose val set has no positive pixel, in place of a warning."""

    @model_validator(mode="after")
    def _split_is_said(self) -> Self:
        if self.data_split_method in ("region", "sample") and not self.data_split_by:
            raise ValueError(
                f"--data-split-method {self.data_split_method} needs --data-split-by with the names to test on"
            )
        if self.data_split_method == "none" and self.data_split_by:
            raise ValueError("--data-split-by means something only with --data-split-method, but that is none")
        return self

    @model_validator(mode="after")
    def _one_way_to_split(self) -> Self:
        if self.split_file is not None and self.data_split_method != "none":
            raise ValueError(
                "--split-file says what is tested on, but --data-split-method was given, too; leave one out"
            )
        if self.split_file is not None and self.buffer_km:
            raise ValueError("--split-file says what is trained on, but --buffer-km was given, too; leave one out")
        if self.buffer_km and self.fold_method != "spatial":
            raise ValueError(
                f"--buffer-km means something only with --fold-method spatial, but that is {self.fold_method}"
            )
        return self

    @property
    def unheeded(self) -> list[str]:
        """A line for each setting that says nothing to the chosen fold method."""
        method = "--split-file" if self.split_file else f"--fold-method {self.fold_method}"
        names = [name for name, methods in _MEANT_FOR.items() if self.split_file or self.fold_method not in methods]
        if self.split_file and self.fold_method != "none":  # with none, train and val are both trained on
            names.append("fold_method")
        given = [name for name in names if getattr(self, name) != type(self).model_fields[name].default]
        return [f"{setting_to_flag(name)} says nothing to {method}, and is passed over." for name in given]


class DataConfig(DatasetConfig, frozen=True):
    """Which patches one run reads, and which of them it validates on."""

    fold: NonNegativeInt = 0
    """The fold whose val set is held out, from 0."""

    @model_validator(mode="after")
    def _fold_exists(self) -> Self:
        if self.split_file is None and self.fold >= self.total_folds:
            raise ValueError(f"--fold counts from 0 to total-folds - 1 = {self.total_folds - 1}, but is {self.fold}")
        return self
