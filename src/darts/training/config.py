"""Settings of training, testing and converting; standard library and pydantic only."""

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self, get_args

from pydantic import BeforeValidator, Field, NonNegativeInt, PositiveInt, model_validator

from darts.core.config import Config, Listed, OrNone
from darts.core.names import SafeName

SplitMethod = Literal["none", "random", "region", "sample"]
FoldMethod = Literal["kfold", "shuffle", "stratified", "region", "region-stratified", "region-kfold", "none"]
Augmentation = Literal["flip", "rotate90", "blur", "brightness-contrast", "multiplicative-noise", "posterize"]
AUGMENTATIONS: tuple[Augmentation, ...] = get_args(Augmentation)


def _texts(value: Any) -> list[str]:
    return [str(item) for item in (value if isinstance(value, (list, tuple)) else [value])]


def _switch_or_names(value: Any) -> Any:
    words = {"true": AUGMENTATIONS, "all": AUGMENTATIONS, "false": (), "none": ()}
    if isinstance(value, bool):
        return words[str(value).lower()]
    if isinstance(value, str):
        return words.get(value.strip().lower(), [part.strip() for part in value.split(",")])
    return value


Augment = Annotated[tuple[Augmentation, ...] | bool, BeforeValidator(_switch_or_names)]


class DatasetConfig(Config, frozen=True):
    """Which patches are read, and how they are divided."""

    panel: ClassVar[str] = "Data"

    train_data_dir: Path
    """Dataset directory that a preprocess command wrote."""
    data_split_method: SplitMethod = "none"
    """How the test split is chosen. `random`: a share of the patches; `region`: all patches of some regions; `sample`: all
    patches of some scenes; `none`: test = train, with a warning."""
    data_split_by: Annotated[tuple[str, ...], BeforeValidator(_texts)] = ()
    """What goes into the test split: the share to test on, in (0, 1), for `random` (0.2 if not given); names of regions or
    scenes for `region` and `sample`. Repeatable."""
    fold_method: FoldMethod = "kfold"
    """How the other patches are divided into train and val. `kfold`: blocks in order; `stratified`: equal shares of empty
    patches; `shuffle`: as stratified, drawn anew for each fold; `region`: random regions, drawn anew for each fold, so that
    one may come twice and another never; `region-kfold`: every region held out exactly once; `region-stratified`: regions
    kept together, equal shares of empty patches; `none`: val = train."""
    total_folds: int = Field(default=5, ge=2)
    """Number of folds; the share of val is 1 / total-folds."""
    bands: Listed[str] = ()
    """Bands to train on, in this order; all bands of the dataset if not given."""
    in_memory: bool = False
    """Read all patches into memory before training."""
    subsample: OrNone[PositiveInt] = None
    """Use only this many patches of the dataset, drawn with seed 42 before it is split."""

    @model_validator(mode="after")
    def _split_is_said(self) -> Self:
        if self.data_split_method in ("region", "sample") and not self.data_split_by:
            raise ValueError(
                f"--data-split-method {self.data_split_method} needs --data-split-by with the names to test on"
            )
        if self.data_split_method == "none" and self.data_split_by:
            raise ValueError("--data-split-by means something only with --data-split-method, but that is none")
        return self


class DataConfig(DatasetConfig, frozen=True):
    """Which patches one run reads, and which of them it validates on."""

    fold: NonNegativeInt = 0
    """The fold whose val set is held out, from 0."""

    @model_validator(mode="after")
    def _fold_exists(self) -> Self:
        if self.fold >= self.total_folds:
            raise ValueError(f"--fold counts from 0 to total-folds - 1 = {self.total_folds - 1}, but is {self.fold}")
        return self


class Hyperparameters(Config, frozen=True):
    """What a sweep may vary."""

    panel: ClassVar[str] = "Hyperparameters"

    model_arch: str = "Unet"
    """Architecture of segmentation-models-pytorch, such as Unet, MAnet, UPerNet, Segformer."""
    model_encoder: str = "dpn107"
    """Encoder of segmentation-models-pytorch, such as resnet18, mit_b2, tu-convnextv2_tiny."""
    model_encoder_weights: OrNone[str] = None
    """Pretrained weights of the encoder, such as imagenet; they are downloaded when this is asked for."""
    augment: Augment = True
    """Augment training patches: true, false, or names of flip, rotate90, blur, brightness-contrast, multiplicative-noise,
    posterize, with commas."""
    learning_rate: float = Field(default=1e-3, gt=0)
    """Initial learning rate of AdamW."""
    gamma: float = Field(default=0.9, gt=0, le=1)
    """Factor on the learning rate after each epoch."""
    focal_loss_alpha: OrNone[Annotated[float, Field(ge=0, le=1)]] = None
    """Weight of the positive class in the focal loss, that of the negative class is 1 - alpha; `none` weighs neither."""
    focal_loss_gamma: float = Field(default=2.0, ge=0)
    """How much the focal loss looks at badly predicted pixels; 0 is cross entropy."""
    batch_size: PositiveInt = 8
    """Patches per optimiser step."""


class FitConfig(Config, frozen=True):
    """How long, and where."""

    panel: ClassVar[str] = "Training"

    max_epochs: PositiveInt = 100
    """Epochs to train for."""
    early_stopping_patience: NonNegativeInt = 5
    """Validations without a better val/JaccardIndex after which training stops; 0 never stops early."""
    num_workers: NonNegativeInt = 0
    """Processes that read and augment patches; 0 reads in the main process. It never changes a result."""
    device: Listed[str] = ("auto",)
    """`auto`, `cpu`, or a CUDA index; a run uses one device so far."""


class TrainerConfig(FitConfig, frozen=True):
    """How long one run trains, with which seed, and where."""

    random_seed: NonNegativeInt = 42
    """Seeds the weights, the order of patches and the augmentation."""
    continue_from_checkpoint: OrNone[Path] = None
    """Checkpoint (`last.ckpt`) of a run to go on with, in a run of its own."""


class LoggingConfig(Config, frozen=True):
    """Where results go."""

    panel: ClassVar[str] = "Logging"

    artifact_dir: Path = Path("artifacts")
    """Folder of all runs."""
    log_every_n_steps: PositiveInt = 10
    """Send the training loss to the tracker every so many steps."""
    check_val_every_n_epoch: PositiveInt = 3
    """Validate every so many epochs; the last epoch is always validated."""
    plot_every_n_val_epochs: PositiveInt = 5
    """Draw validation samples at every so many validations."""
    wandb_entity: OrNone[str] = None
    """User or team of Weights & Biases."""
    wandb_project: OrNone[str] = None
    """Project of Weights & Biases; it is used only when this is given."""


class RunLoggingConfig(LoggingConfig, frozen=True):
    """Where the results of one run go."""

    run_name: OrNone[SafeName] = None
    """Name of the run; random and readable if not given."""


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
    train_data_dir: OrNone[Path] = None
    """Dataset directory; the one that the run was trained on if not given."""
    data_split_method: SplitMethod | None = None
    """How the test split is chosen; as in training if not given."""
    data_split_by: Annotated[tuple[str, ...], BeforeValidator(_texts)] = ()
    """What goes into the test split; as in training if not given."""
    batch_size: PositiveInt = 8
    """Patches that are predicted at once."""
    num_workers: NonNegativeInt = 0
    """Processes that read patches; 0 reads in the main process."""
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
    format: Literal["directory", "darts"] = "directory"
    """`directory`: model.safetensors and config.json; `darts`: the one file of the existing pipeline."""


class ValidateConfig(Config, frozen=True):
    """How thoroughly a dataset is checked."""

    panel: ClassVar[str] = "Validation"

    deep: bool = False
    """Read every patch, and check every value against its checksum and the contract."""
