"""What the parts of the report of a sweep need to know of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial

from darts.tune.report.scales import ScoreRange
from darts.tune.score import ScoringMetric, parse_scoring_metrics
from darts.tune.space import Choice, Dimension, Range
from darts.tune.status import SweepStatus, sweep_status
from darts.tune.table import STATE_WORDS, is_unstable, ranked_trials, score_of, space_of, sweep_record


@dataclass(frozen=True, slots=True)
class Point:
    """A trial, as the figures show it.

    Attributes
    ----------
    state
        As in `darts.tune.table.STATE_WORDS`.
    """

    number: int
    state: str
    score: float
    is_unstable: bool
    params: Mapping[str, Any]

    @property
    def title(self) -> str:
        """What is shown at the mark of the trial."""
        if self.state != "complete":
            return f"trial {self.number}, {self.state}"
        return f"trial {self.number}: {self.score:.4f}{', unstable' if self.is_unstable else ''}"


@dataclass(frozen=True, slots=True)
class Scores:
    """The complete trials with a finite score.

    Attributes
    ----------
    points
        By number.
    best
        Number of the best one.
    """

    points: Sequence[Point]
    best: int | None
    range: ScoreRange
    lower_is_better: bool


@dataclass(frozen=True, slots=True)
class SweepView:
    """A sweep, and what several parts of its report need to know.

    Attributes
    ----------
    trials
        All trials, by number.
    ranked
        The complete trials with a finite score, best first.
    scores
        Those, as figures show them.
    varied
        The dimensions of the search space that have more than one value.
    metrics
        What is scored.
    """

    study: Study
    record: Mapping[str, Any]
    status: SweepStatus
    trials: list[FrozenTrial]
    ranked: list[FrozenTrial]
    scores: Scores
    varied: Mapping[str, Dimension]
    metrics: tuple[ScoringMetric, ...]

    @classmethod
    def of(cls, study: Study) -> Self:
        """The view of a study, as it is now."""
        trials = sorted(study.get_trials(deepcopy=False), key=lambda trial: trial.number)
        record = sweep_record(study)
        ranked = ranked_trials(trials, study.direction)
        return cls(
            study=study,
            record=record,
            status=sweep_status(study, bool),  # who works on it isn't shown
            trials=trials,
            ranked=ranked,
            scores=_scores(ranked, lower_is_better=study.direction == StudyDirection.MINIMIZE),
            varied={name: one for name, one in space_of(study).dimensions.items() if _is_varied(one)},
            metrics=parse_scoring_metrics(record.get("scoring_metric", ())),
        )


def _scores(ranked: Sequence[FrozenTrial], *, lower_is_better: bool) -> Scores:
    points = sorted(map(point_of, ranked), key=lambda point: point.number)
    score_range = ScoreRange.of([point.score for point in points], lower_is_better=lower_is_better)
    return Scores(points, ranked[0].number if ranked else None, score_range, lower_is_better)


def point_of(trial: FrozenTrial) -> Point:
    """The trial, as the figures show it."""
    return Point(trial.number, STATE_WORDS[trial.state], score_of(trial), is_unstable(trial), trial.params)


def _is_varied(dimension: Dimension) -> bool:
    return isinstance(dimension, Range) or (isinstance(dimension, Choice) and len(dimension.values) > 1)
