"""Where a run, a cross-validation and a sweep leave their files: the one place that joins these paths."""

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
    def regions(self) -> Path:
        """Pixels and metrics by split and region (CSV)."""
        return self.path / "regions.csv"

    @property
    def scenes(self) -> Path:
        """Pixels and metrics by split and scene (CSV)."""
        return self.path / "scenes.csv"

    @property
    def throughput(self) -> Path:
        """Seconds, samples per second and the share of time that was spent waiting, of every epoch (CSV)."""
        return self.path / "throughput.csv"

    @property
    def report(self) -> Path:
        """What is known of the run, on one page (HTML)."""
        return self.path / "report.html"

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


@dataclass(frozen=True, slots=True)
class CrossValidationDirectory:
    """The files of one cross-validation, below `path`: its runs, and what is known of them all."""

    path: Path

    @property
    def config(self) -> Path:
        """Resolved settings, and the fingerprint of the dataset (TOML)."""
        return self.path / "config.toml"

    @property
    def run_infos(self) -> Path:
        """One row for each run: metrics, score, state (parquet)."""
        return self.path / "run_infos.parquet"

    def runs_named(self, run_name: str) -> list[RunDirectory]:
        """The runs with this name, finished or not; each start of a run has an id, and so a folder, of its own."""
        return [
            run
            for path in sorted(self.path.glob(f"{run_name}-*"))
            for run in [RunDirectory(path)]
            if run.name_and_id[0] == run_name
        ]


@dataclass(frozen=True, slots=True)
class SweepDirectory:
    """The files of one sweep, below `path`: its cross-validations, and what is known of them all."""

    path: Path

    @property
    def name(self) -> str:
        """The tune name."""
        return self.path.name

    @property
    def table(self) -> Path:
        """One row for each trial: parameters, score, state (parquet)."""
        return self.path / f"{self.name}.parquet"

    @property
    def report(self) -> Path:
        """What `darts sweep report` draws (HTML)."""
        return self.path / "report.html"


def run_directory(
    artifact_dir: Path, run_name: str, run_id: str, cv_name: str | None = None, tune_name: str | None = None
) -> RunDirectory:
    """The place of a run: by itself, of a cross-validation, or of a sweep."""
    folder = f"{run_name}-{run_id}"
    if cv_name is not None:
        return RunDirectory(cross_validation_directory(artifact_dir, cv_name, tune_name).path / folder)
    return RunDirectory((artifact_dir / RUNS if tune_name is None else artifact_dir / tune_name) / folder)


def run_place(artifact_dir: Path, run: RunDirectory) -> tuple[str | None, str | None]:
    """The names of the cross-validation and of the sweep that a run below an artifact directory is part of, if of any.

    The inverse of `run_directory`.
    """
    parents = run.path.relative_to(artifact_dir).parts[:-1]
    if not parents or parents[-1] == RUNS:
        return None, None
    if len(parents) == 1:
        return None, parents[0]
    folder, cv_name = parents[-2:]
    return cv_name, None if folder == CROSS_VALIDATIONS else folder


def cross_validation_directory(
    artifact_dir: Path, cv_name: str, tune_name: str | None = None
) -> CrossValidationDirectory:
    """The place of a cross-validation: by itself, or of a sweep."""
    return CrossValidationDirectory(artifact_dir / (tune_name or CROSS_VALIDATIONS) / cv_name)


def sweep_directory(artifact_dir: Path, tune_name: str) -> SweepDirectory:
    """The place of a tune or sweep."""
    return SweepDirectory(artifact_dir / tune_name)


def sweep_database(artifact_dir: Path) -> Path:
    """The SQLite file that holds the sweeps of an artifact directory when no other database is named."""
    return artifact_dir / "sweeps.db"


def find_runs(artifact_dir: Path) -> list[RunDirectory]:
    """All runs below an artifact directory, those of cross-validations and sweeps included, sorted by path."""
    folders = (path.parent for path in sorted(artifact_dir.rglob("split.parquet")))
    # A dataset directory, which may have a split file too, has a table of patches.
    return [RunDirectory(folder) for folder in folders if not (folder / "metadata.parquet").exists()]
