"""All the way on simulated scenes: each step is what a user would type, and is done once."""

from dataclasses import dataclass
from pathlib import Path

from darts.cli.config import QuickstartConfig
from darts.cli.output import say, say_metrics, say_next
from darts.core.artifacts import RunDirectory, find_runs
from darts.core.files import make_directory

TEST_REGION = "North Shore"
RUN_NAME = "quickstart"
TRAINING = {
    "model_arch": "Unet",
    "model_encoder": "resnet18",
    "normalisation": "z-score",
    "augment": "flip,rotate90",
    "batch_size": 8,
    "loss": "bce + dice",
    "lr_schedule": "one-cycle",
    "learning_rate": 1e-3,
    "max_epochs": 12,
    "early_stopping_patience": 0,
    "check_val_every_n_epoch": 4,
    "device": "cpu",
}


@dataclass(frozen=True, slots=True)
class Places:
    """Where each step leaves its result."""

    root: Path

    @property
    def sample(self) -> Path:
        """Simulated scenes."""
        return self.root / "sample"

    @property
    def dataset(self) -> Path:
        """Dataset directory."""
        return self.root / "dataset"

    @property
    def artifacts(self) -> Path:
        """Runs."""
        return self.root / "artifacts"

    @property
    def models(self) -> Path:
        """Converted models."""
        return self.root / "models"


def planned_steps(config: QuickstartConfig) -> list[str]:
    """What `go_all_the_way` would do, a line each."""
    places = Places(config.output_dir)
    return [
        f"would simulate scenes in {places.sample}",
        f"would make a dataset of them in {places.dataset}",
        f"would train a model for {TRAINING['max_epochs']} epochs, and test it, in {places.artifacts}",
        f"would convert it into {places.models / RUN_NAME}",
    ]


def go_all_the_way(config: QuickstartConfig) -> None:
    """Simulate, preprocess, train, test, convert; a step whose result is there is not done again."""
    places = Places(config.output_dir)
    make_directory(places.root)
    say(f"everything goes into {places.root}; about three minutes on two CPU cores")
    _simulate(places, config.random_seed)
    _preprocess(places)
    run = _finished_run(places) or _train(places, config.random_seed)
    metrics = _test(places, run)
    model = _convert(places, run)
    say_metrics("\nmetrics on the test split, a region that the model has never seen", metrics)
    say(f"scenes and labels  {places.sample}")
    say(f"dataset            {places.dataset}")
    say(f"run and figures    {run.path}")
    say(f"converted model    {model}")
    say_next("darts", "validate-dataset", "--train-data-dir", places.dataset, "--deep")


def _simulate(places: Places, seed: int) -> None:
    from darts.sample import make_sample_data

    data = make_sample_data(output_dir=places.sample, random_seed=seed)
    say(f"1/5 scenes: {'there already' if data.already_complete else 'simulated'}, {places.sample}")


def _preprocess(places: Places) -> None:
    from darts.preprocess import preprocess_s2_train_data

    result = preprocess_s2_train_data(
        sentinel2_dir=places.sample / "sentinel2",
        admin_dir=places.sample / "admin",
        train_data_dir=places.dataset,
        patch_size=64,
        overlap=0,
        exclude_nan=False,
        s2_offset=0,
    )
    done = "there already" if result.already_complete else "made"
    say(
        f"2/5 dataset: {done}, {result.n_patches} patches, {result.positive_share:.1%} positive pixels, {places.dataset}"
    )


def _runs(places: Places) -> list[RunDirectory]:
    return [one for one in find_runs(places.artifacts) if one.name_and_id[0] == RUN_NAME]


def _finished_run(places: Places) -> RunDirectory | None:
    finished = [one for one in _runs(places) if one.is_finished]
    if finished:
        say(f"3/5 training: there already, {finished[0].path}")
    return finished[0] if finished else None


def _train(places: Places, seed: int) -> RunDirectory:
    from darts.training import train_smp

    say(f"3/5 training: {TRAINING['model_arch']} with {TRAINING['model_encoder']}, {TRAINING['max_epochs']} epochs ...")
    result = train_smp(
        train_data_dir=places.dataset,
        data_split_method="region",
        data_split_by=TEST_REGION,
        fold_method="region-stratified",
        total_folds=4,
        random_seed=seed,
        artifact_dir=places.artifacts,
        run_name=RUN_NAME,
        resume="last" if _runs(places) else None,
        in_memory=True,
        **TRAINING,
    )
    say(f"    best val/JaccardIndex {result.metrics['val/JaccardIndex']:.4f}, {result.directory}")
    return RunDirectory(result.directory)


def _test(places: Places, run: RunDirectory) -> dict[str, float]:
    import json

    if run.test_metrics.exists():
        say(f"4/5 test: there already, {run.test_metrics}")
        metrics: dict[str, float] = json.loads(run.test_metrics.read_text(encoding="utf-8"))
        return metrics
    from darts.training import test_smp

    result = test_smp(run_id=run.name_and_id[1], artifact_dir=places.artifacts, batch_size=16, device="cpu")
    say(f"4/5 test: {result.patches} patches, {run.figures}")
    return dict(result.metrics)


def _convert(places: Places, run: RunDirectory) -> Path:
    model = places.models / RUN_NAME
    if model.exists():
        say(f"5/5 converted model: there already, {model}")
        return model
    from darts.training import convert_lightning_checkpoint

    result = convert_lightning_checkpoint(
        lightning_checkpoint=run.best_checkpoint, out_directory=places.models, checkpoint_name=RUN_NAME
    )
    say(f"5/5 converted model: {result.path}, logits differ by at most {result.max_difference:.0e}")
    return model
