"""What is tested, converted and checked."""

from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    NonNegativeInt,
    PositiveInt,
    model_validator,
)

from darts.core.config import Config, Listed, OrNone
from darts.core.names import SafeName
from darts.training.config.data import SplitMethod, directories, texts


class TestConfig(Config, frozen=True):
    """Which run or checkpoint is tested, and on what."""

    panel: ClassVar[str] = "Test"

    run_name: OrNone[SafeName] = None
    """Name of the run to test."""
    run_id: OrNone[SafeName] = None
    """Id of the run to test."""
    checkpoint: OrNone[Path] = None
    """Checkpoint to test, instead of the best one of a run."""
    artifact_dir: Path = Path("artifacts")
    """Folder of all runs."""
    train_data_dir: Annotated[tuple[Path, ...], BeforeValidator(directories)] = ()
    """Dataset directory; the one that the run was trained on if not given. Repeatable."""
    data_split_method: SplitMethod | None = None
    """How the test split is chosen; as in training if not given."""
    data_split_by: Annotated[tuple[str, ...], BeforeValidator(texts)] = ()
    """What goes into the test split; as in training if not given."""
    batch_size: PositiveInt = 8
    """Patches that are predicted at once."""
    matching_iou: float = Field(default=0.5, gt=0, le=1)
    """Intersection over union from which on a predicted and a labelled object are the same one."""
    model_factory: OrNone[str] = None
    """The function that the run was trained with, if it was with one; what a checkpoint names is never run by itself."""
    num_workers: NonNegativeInt = 0
    """Threads that read patches ahead; 0 reads in the main one."""
    device: Listed[str] = ("auto",)
    """`auto`, `cpu`, or a CUDA index."""

    @model_validator(mode="after")
    def _one_target(self) -> Self:
        if not (self.run_name or self.run_id or self.checkpoint):
            raise ValueError("one of --run-name, --run-id and --checkpoint says what to test, but none was given")
        if self.checkpoint and (self.run_name or self.run_id):
            raise ValueError("--checkpoint says what to test by itself, but --run-name or --run-id was given, too")
        return self

    @model_validator(mode="after")
    def _split_has_a_method(self) -> Self:
        if self.data_split_by and self.data_split_method is None:
            raise ValueError("--data-split-by means something only with --data-split-method, but that was not given")
        return self


class ConvertConfig(Config, frozen=True):
    """What is converted, and into what."""

    panel: ClassVar[str] = "Convert"

    lightning_checkpoint: Path
    """Checkpoint of a training run, of ours or of darts-nextgen."""
    out_directory: Path
    """Folder that the model is written into."""
    checkpoint_name: OrNone[SafeName] = None
    """Name of the model; that of the run if not given."""
    model_factory: OrNone[str] = None
    """The function that the run was trained with, if it was with one; what a checkpoint names is never run by itself."""
    format: Literal["directory", "darts"] = "directory"
    """`directory`: model.safetensors and config.json; `darts`: the one file of the existing pipeline."""


class ValidateConfig(Config, frozen=True):
    """How thoroughly a dataset is checked."""

    panel: ClassVar[str] = "Validation"

    deep: bool = False
    """Read every patch, and check every value against its checksum and the contract."""
