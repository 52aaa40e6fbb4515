"""Where the metrics of a run go: a CSV file always, TensorBoard and Weights & Biases when asked for."""

import importlib.util
import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.loggers.logger import Logger
from lightning.pytorch.utilities import rank_zero_only

from darts.core.errors import ConfigError, one_line
from darts.core.log import get_logger
from darts.training.epoch_rows import read_epochs, write_epochs

_log = get_logger(__name__)


class EpochTable(Logger):
    """`metrics.csv`: one row for each epoch; rows that are there when it starts are kept."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self._rows = read_epochs(path)
        self._is_saved = True

    @property
    def name(self) -> str:
        """Name of the logger."""
        return "csv"

    @property
    def version(self) -> str:
        """The table has one version."""
        return ""

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Settings are written by the run itself."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Take the metrics of an epoch; those of single steps are left to the tracker."""
        kept = {name: value for name, value in metrics.items() if not name.endswith("_step") and name != "epoch"}
        if kept and "epoch" in metrics:
            row = self._rows.setdefault(int(metrics["epoch"]), {"epoch": int(metrics["epoch"])})
            self._is_saved = False
            row.update({"step": step} | {name: repr(float(value)) for name, value in kept.items()})

    @rank_zero_only
    def save(self) -> None:
        """Write the table whole."""
        if self._is_saved:
            return
        columns = list(dict.fromkeys(name for row in self._rows.values() for name in row))
        ordered = ["epoch", "step", *sorted(set(columns) - {"epoch", "step"})]
        write_epochs(self.path, self._rows, ordered)
        self._is_saved = True


class WandbTracker(Logger):
    """Weights & Biases, which may fail in any way and never stops a run.

    A server that doesn't answer in a few seconds, or a missing key, turns the run into an offline one, kept in the run
    directory and ready for `wandb sync`.
    """

    START_SECONDS = 5
    FINISH_SECONDS = 30

    def __init__(
        self,
        directory: Path,
        run_name: str,
        run_id: str,
        *,
        project: str,
        entity: str | None,
        group: str | None = None,
        job_type: str | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self._directory = directory
        self._run: Any = None
        self._identity: dict[str, Any] = {
            "id": run_id,
            "resume": "allow",  # a run that goes on keeps its curves
            "name": run_name,
            "project": project,
            "entity": entity,
            "group": group,
            "job_type": job_type,
            "dir": str(directory),
        }
        self._settings = dict(settings or {})
        self._is_started = False

    @property
    def name(self) -> str:
        """Name of the logger."""
        return "wandb"

    @property
    def version(self) -> str:
        """Id of the run."""
        return str(self._identity["id"])

    def _guarded(self, action: Callable[[], None]) -> None:
        try:
            action()
        except (Exception, SystemExit) as error:
            if isinstance(error, SystemExit) and isinstance(error.code, int) and error.code > 128:
                raise  # a signal, not the tracker
            _log.warning("Weights & Biases failed, training goes on without it: %s", one_line(error))
            self._run = None

    @rank_zero_only
    def start(self) -> None:
        """Begin the run, once; in the process that logs."""
        if not self._is_started:
            self._is_started = True
            self._guarded(self._start)

    def _start(self) -> None:
        import wandb

        os.environ.setdefault("WANDB_SILENT", "true")
        settings = wandb.Settings(init_timeout=self.START_SECONDS, silent=True)
        mode: Any = os.environ.get("WANDB_MODE") or ("online" if self._has_key() else "offline")
        if mode == "offline" and "WANDB_MODE" not in os.environ:
            _log.warning("Weights & Biases has no API key (see: wandb login), so the run is kept offline.")
        try:
            self._run = wandb.init(**self._identity, config=self._settings, mode=mode, settings=settings)
        except Exception as error:  # noqa: BLE001 -- no network, no server, wrong key: all end offline
            reason = one_line(error, 120)
            _log.warning("Weights & Biases can't be reached (%s), so the run is kept offline.", reason)
            wandb.teardown()  # the failed start still holds the id
            self._run = wandb.init(**self._identity, config=self._settings, mode="offline", settings=settings)

    @staticmethod
    def _has_key() -> bool:
        import wandb

        return bool(os.environ.get("WANDB_API_KEY") or wandb.setup().settings.api_key)

    @rank_zero_only
    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Send the settings."""
        self.start()
        if self._run is not None:
            self._guarded(lambda: self._run.config.update(dict(params), allow_val_change=True))

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Send metrics."""
        self.start()
        if self._run is not None:
            self._guarded(lambda: self._run.log({**metrics, "trainer/global_step": step}))

    @rank_zero_only
    def log_figure(self, name: str, path: Path) -> None:
        """Send a PNG file."""
        self.start()
        if self._run is not None:
            import wandb

            self._guarded(lambda: self._run.log({name: wandb.Image(str(path))}))

    @rank_zero_only
    def close(self) -> None:
        """Finish the run, in bounded time."""
        if self._run is None:
            return
        offline = bool(getattr(self._run, "offline", False))
        finishing = threading.Thread(target=lambda: self._guarded(self._run.finish), daemon=True)
        finishing.start()
        finishing.join(self.FINISH_SECONDS)
        if offline:
            _log.warning("send the offline run later with: wandb sync %s", self._directory / "wandb" / "offline-run-*")


def require_tensorboard() -> None:
    """Refuse to begin without the package that writes event files.

    Raises
    ------
    ConfigError
        When it isn't installed.
    """
    if importlib.util.find_spec("tensorboard") is None:
        raise ConfigError(
            "--tensorboard needs the package tensorboard, which isn't installed; install darts[tensorboard], or leave the "
            "flag out."
        )


class EventFiles(TensorBoardLogger):
    """Event files for TensorBoard, in a folder of the run."""

    def __init__(self, directory: Path) -> None:
        super().__init__(str(directory), name="", version="tensorboard", default_hp_metric=False)

    @rank_zero_only
    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Settings are written by the run itself."""

    @rank_zero_only
    def log_figure(self, name: str, path: Path) -> None:
        """Add a PNG file."""
        from matplotlib.image import imread

        self.experiment.add_image(name, imread(path)[..., :3], dataformats="HWC")
