"""What the benchmark of whole scenes runs, each in a process of its own.

    python scene_runs.py NAME OUT IMAGES LABELS ELEVATION TRENDS

Nothing is imported here but what the run needs, since the memory that imports take is a part of what is measured.
"""

import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from measuring import tell

PATCH = 896
ALL_BANDS = (
    *("blue", "green", "red", "nir", "ndvi", "tc_brightness", "tc_greenness", "tc_wetness"),
    *("relative_elevation", "slope", "aspect", "hillshade", "curvature"),
)


@dataclass(frozen=True, slots=True)
class Inputs:
    """What preprocessing is given.

    Attributes
    ----------
    images, labels
        Folder of orthotiles, and of the labels and footprints that name them.
    elevation, trends
        GeoTIFFs that cover all of it.
    """

    images: Path
    labels: Path
    elevation: Path
    trends: Path

    def file_of_first(self, kind: str) -> Path:
        """A file of the first orthotile: SR or udm2."""
        return min(self.images.glob(f"*/*_{kind}.tif"))


def idle_plain(*_: object) -> None:
    """What the plain chain costs before it has begun."""
    import plain_chain  # noqa: F401

    tell()


def plain_x(inputs: Inputs, out: Path) -> None:
    """The plain chain without labels."""
    import torch

    import plain_chain

    torch.set_num_threads(1)
    kept = plain_chain.write_x(inputs.file_of_first("SR"), out, PATCH)
    tell(patches=int(kept.sum()))


def plain_xy(inputs: Inputs, out: Path) -> None:
    """The plain chain with labels and mask, as ours."""
    import torch

    import plain_chain

    torch.set_num_threads(1)
    kept = plain_chain.write_x(inputs.file_of_first("SR"), out, PATCH)
    labels = inputs.labels / "TrainingLabel_one.gpkg"
    plain_chain.write_y(inputs.file_of_first("SR"), inputs.file_of_first("udm2"), labels, out, PATCH, kept)
    tell(patches=int(kept.sum()))


def idle_ours(*_: object) -> None:
    """What preprocessing costs before it has begun."""
    from darts.preprocess import preprocess_planet_train_data  # noqa: F401

    tell()


def ours(inputs: Inputs, out: Path, workers: int = 1) -> None:
    """The whole command."""
    from darts.preprocess import preprocess_planet_train_data

    result = preprocess_planet_train_data(
        data_dir=inputs.images,
        labels_dir=inputs.labels,
        train_data_dir=out,
        patch_size=PATCH,
        overlap=0,
        workers=workers,
        memory_limit="none",
    )
    tell(patches=result.n_patches)


def two_workers(inputs: Inputs, out: Path) -> None:
    """The whole command, with two scenes at a time."""
    ours(inputs, out, workers=2)


def one_worker(inputs: Inputs, out: Path) -> None:
    """One scene with thirteen bands, as a worker makes it, and what it is believed to need."""
    from darts.dataset.schema import SCALE
    from darts.dataset.writer import SceneStage
    from darts.preprocess.config import PatchConfig
    from darts.preprocess.pipeline import plan_planet_train_data
    from darts.preprocess.planet import PlanetReader
    from darts.preprocess.staging import SceneTask, bytes_needed, make_patches

    patches = PatchConfig(train_data_dir=out, bands=ALL_BANDS, patch_size=PATCH, overlap=0, exclude_nan=False)
    plan = plan_planet_train_data(
        data_dir=inputs.images,
        labels_dir=inputs.labels,
        arcticdem_dir=inputs.elevation,
        tcvis_dir=inputs.trends,
        **patches.model_dump(),
    )
    (scene,) = plan.scenes
    stage = SceneStage(out.absolute(), plan.recipe.bands, PATCH, SCALE, "one", scene.n_patches)
    task = SceneTask(scene, plan.recipe, PlanetReader(inputs.images), stage, patches, all_touched=False, cache=None)
    staged = make_patches(task)
    tell(patches=len(staged.table), failed=staged.entry.failed, estimate=bytes_needed(task))


RUNS: Mapping[str, Callable[[Inputs, Path], None]] = {
    run.__name__: run for run in (idle_plain, plain_x, plain_xy, idle_ours, ours, two_workers, one_worker)
}


if __name__ == "__main__":
    name, out, *paths = sys.argv[1:]
    shutil.rmtree(out, ignore_errors=True)
    RUNS[name](Inputs(*map(Path, paths)), Path(out))
