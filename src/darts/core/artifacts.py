"""Where a run, and later a cross-validation or a sweep, leaves its files: the one place that joins these paths."""

from dataclasses import dataclass
from pathlib import Path

RUNS = "_runs"
CROSS_VALIDATIONS = "_cross_validations"


@dataclass(frozen=True, slots=True)
class RunDirectory:
    """The files of one run, below `path`."""

    path: Path

    @property
    def name_and_id(self) -> tuple[str, str]:
        """Run name and run id, read from the name of the folder."""
        name, _, run_id = self.path.name.rpartition("-")
        return name, run_id

    @property
    def config(self) -> Path:
        """Resolved settings, versions, and the fingerprint of the dataset (TOML)."""
        return self.path / "config.toml"

    @property
    def split(self) -> Path:
        """The row of every patch and its role (parquet)."""
        return self.path / "split.parquet"

    @property
    def metrics(self) -> Path:
        """Metrics of every epoch (CSV)."""
        return self.path / "metrics.csv"

    @property
    def result(self) -> Path:
        """What the run gave, written last (JSON)."""
        return self.path / "result.json"

    @property
    def test_metrics(self) -> Path:
        """Metrics on the test split (JSON)."""
        return self.path / "test_metrics.json"

    @property
    def confusion(self) -> Path:
        """tp, fp, fn, tn by split, in all and by region (parquet)."""
        return self.path / "confusion.parquet"

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints."""
        return self.path / "checkpoints"

    @property
    def best_checkpoint(self) -> Path:
        """The checkpoint of the epoch that was best by the monitored metric."""
        return self.checkpoints / "best.ckpt"

    @property
    def last_checkpoint(self) -> Path:
        """The checkpoint of the last finished epoch."""
        return self.checkpoints / "last.ckpt"

    @property
    def is_finished(self) -> bool:
        """Whether the run was trained to its end, and its best checkpoint measured."""
        return self.result.exists()

    @property
    def figures(self) -> Path:
        """Folder of the figures (PNG)."""
        return self.path / "figures"


def run_directory(artifact_dir: Path, run_name: str, run_id: str) -> RunDirectory:
    """The place of a single run."""
    return RunDirectory(artifact_dir / RUNS / f"{run_name}-{run_id}")


def find_runs(artifact_dir: Path) -> list[RunDirectory]:
    """All runs below an artifact directory, those of cross-validations and sweeps included, sorted by path."""
    return [RunDirectory(path.parent) for path in sorted(artifact_dir.rglob("split.parquet"))]
