"""How long and where a run trains, and where its results go."""

from pathlib import Path
from typing import ClassVar, Literal, Self

from pydantic import (
    NonNegativeInt,
    PositiveInt,
    model_validator,
)

from darts.core.config import Config, Listed, OrNone
from darts.core.names import SafeName

PLACE = frozenset(
    "artifact_dir wandb_entity wandb_project tensorboard log_every_n_steps plot_every_n_val_epochs num_workers device "
    "in_memory resume continue_from_checkpoint skip_existing save_every_n_epochs".split()
)
"""Settings that say where and how the work is done, but not what comes out."""


class FitConfig(Config, frozen=True):
    """How long, and where."""

    panel: ClassVar[str] = "Training"

    max_epochs: PositiveInt = 100
    """Epochs to train for."""
    early_stopping_patience: NonNegativeInt = 5
    """Validations without a better val/JaccardIndex after which training stops; 0 never stops early."""
    limit_val_patches: OrNone[PositiveInt] = None
    """Validate on at most this many patches during training, always the same; the best checkpoint is measured on all."""
    precision: Literal["32", "16-mixed", "bf16-mixed"] = "32"
    """Numbers that the network computes with; 16-mixed needs a GPU."""
    deterministic: Literal["warn", "true", "false"] = "warn"
    """Use only algorithms that give the same bits each time; where there is none, `warn` says so and `true` refuses."""
    num_workers: NonNegativeInt = 0
    """Threads that read and augment patches ahead of training; 0 reads in the main one. It never changes a result."""
    device: Listed[str] = ("auto",)
    """`auto`, `cpu`, a CUDA index, or several with commas."""


class TrainerConfig(FitConfig, frozen=True):
    """How long one run trains, with which seed, and where."""

    random_seed: NonNegativeInt = 42
    """Seeds the weights, the order of patches and the augmentation."""
    resume: OrNone[SafeName] = None
    """Go on with a run that was stopped, in its folder: `last` is the newest one (of the name, if --run-name is given), or
    an id. With `last`, a run that isn't there yet begins, and one that is finished is left alone, so that a job that is
    queued again can use the same command."""
    continue_from_checkpoint: OrNone[Path] = None
    """Checkpoint (`last.ckpt`) of a run to go on with, in a run of its own."""
    init_weights: OrNone[Path] = None
    """Checkpoint whose weights this run begins with; nothing else is taken from it."""
    skip_existing: bool = False
    """Do nothing when a finished run of this name is there."""
    save_every_n_epochs: OrNone[PositiveInt] = None
    """Keep a checkpoint of every n-th epoch, beside best and last."""
    strategy: Literal["auto", "ddp", "ddp_spawn", "fsdp"] = "auto"
    """How several devices share the work; `auto` is ddp where there are several."""
    num_processes: PositiveInt = 1
    """Processes that share the work on the CPU."""
    num_nodes: PositiveInt = 1
    """Computers that share the work, each with the same devices; started by Slurm or torchrun."""

    @model_validator(mode="after")
    def _one_beginning(self) -> Self:
        ways = [name for name in ("resume", "continue_from_checkpoint", "init_weights") if getattr(self, name)]
        if len(ways) > 1:
            flags = " and ".join("--" + name.replace("_", "-") for name in ways)
            raise ValueError(f"{flags} each say what to begin with; give one of them")
        return self

    @property
    def processes_per_node(self) -> int:
        """Number of processes on one computer, one for each device."""
        return max(len(self.device), self.num_processes)


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
    tensorboard: bool = False
    """Write event files for TensorBoard into the run directory."""


class RunLoggingConfig(LoggingConfig, frozen=True):
    """Where the results of one run go."""

    run_name: OrNone[SafeName] = None
    """Name of the run; random and readable if not given."""
