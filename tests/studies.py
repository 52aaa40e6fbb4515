"""Small sweeps in memory, as runners leave them."""

from datetime import datetime, timedelta
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState, create_trial

from darts.tune.space import Choice, Constant, Range, Space

METRICS = ("val/JaccardIndex:higher", "val/Recall:higher")
SPACE = Space(
    {
        "architecture": Choice(("Unet", "DeepLabV3Plus")),
        "batch_size": Constant(16),
        "learning_rate": Range(1e-5, 1e-1, scale="log"),
        "depth": Range(1, 5, integer=True),
    }
)
START = datetime(2025, 3, 4, 8, 0, 0)  # noqa: DTZ001 -- Optuna keeps local times


def new_study(space: Space = SPACE, direction: str = "maximize", **record: Any) -> optuna.Study:
    """An empty sweep."""
    study = optuna.create_study(study_name="brave-fox", direction=direction)
    settings = {"max_epochs": 3, "train_data_dir": "/data/train"}
    given = {"created": "2025-03-04T08:00:00", "method": "random", "seed": 42, "space": space.as_dict()}
    given |= {"scoring_metric": list(METRICS), "multi_score_strategy": "harmonic", "runs_per_trial": 2}
    study.set_user_attr("darts", given | {"settings": settings, "dataset_fingerprint": "abc"} | record)
    return study


def run_info(cv_name: str, seed: int, score: float, duration: float = 10.0, error: str = "") -> dict[str, Any]:
    """A run of fold 0; both metrics are the score."""
    name = f"{cv_name}-run-f0s{seed}"
    metrics = {} if error else {"val/JaccardIndex": score, "val/Recall": score}
    checkpoint = "" if error else f"/artifacts/{name}/best.ckpt"
    known = {"run_name": name, "run_id": f"id{seed}", "fold": 0, "seed": seed, "duration": duration}
    return known | {"checkpoint": checkpoint, "metrics": metrics, "error": error}


def owner(runner: str = "0123abcd", pid: int = 1) -> dict[str, Any]:
    """Who works on a trial."""
    return {"runner": runner, "host": "node1", "pid": pid, "device": "cuda:0", "since": "2025-03-04T08:00:00"}


def add_trial(
    study: optuna.Study,
    score: float | None = None,
    state: TrialState = TrialState.COMPLETE,
    params: dict[str, Any] | None = None,
    **attributes: Any,
) -> FrozenTrial:
    """A trial that ended, or waits; its two runs scored 0.1 less and 0.1 more than it."""
    space = Space.from_dict(study.user_attrs["darts"]["space"])
    number = len(study.get_trials(deepcopy=False))
    point = space.point(42, number) if params is None else params
    cv_name = f"brave-fox-cv{number}"
    attrs: dict[str, Any] = {"cv_name": cv_name, "owner": owner(), "lost": 0, "runs": [], "score": score}
    if score is not None:
        attrs["runs"] = [run_info(cv_name, 42, score - 0.1), run_info(cv_name, 21, score + 0.1, 20.0)]
    trial = create_trial(
        state=state,
        value=score if state == TrialState.COMPLETE else None,
        params=point,
        distributions={name: one for name, one in space.distributions().items() if name in point},
        user_attrs=attrs | {"score_is_unstable": False} | attributes,
    )
    trial.datetime_start = START + timedelta(minutes=number)
    if state.is_finished():
        trial.datetime_complete = START + timedelta(minutes=number + 1)
    study.add_trial(trial)
    return study.get_trials(deepcopy=False)[-1]


def start_trial(study: optuna.Study, **attributes: Any) -> optuna.Trial:
    """A trial that runs."""
    trial = study.ask()
    for name, value in attributes.items():
        trial.set_user_attr(name, value)
    return trial


PLANET_SWEEP = """
name: planet-tcvis-large
method: random
metric:
  goal: maximize
  name: val0/JaccardIndex
parameters:
  learning_rate:
    max: !!float 1e-3
    min: !!float 1e-5
    distribution: log_uniform_values
  gamma: # How fast the learning rate will decrease
    value: 0.997
  focal_loss_alpha: # How much the positive class is weighted
    min: 0.8
    max: 0.99
  focal_loss_gamma: # How much focus should be given to "bad" predictions
    min: 0.0
    max: 2.0
  model_arch:
    values:
      - Unet
      - MAnet
      - UPerNet
      - Segformer
  model_encoder:
    values:
      - resnet50
      - resnext50_32x4d
      - mit_b2
      - tu-convnextv2_tiny
      - tu-maxvit_tiny_rw_224
"""
"""A sweep of the older program, as its users have it."""
