"""Which point a trial is: it depends on the search space, the seed and the number of the trial, not on who asks."""

from collections.abc import Sequence
from typing import Any

from optuna import Study, Trial
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState

from darts.core.seeds import derive_seed
from darts.tune.space import Space, Value


class PlanSampler(BaseSampler):
    """The points of a plan: trial k gets point k, whichever runner asks for it."""

    def __init__(self, space: Space, seed: int) -> None:
        self._space, self._seed = space, seed

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:  # noqa: ARG002
        """No parameter is drawn together with others."""
        return {}

    def sample_relative(
        self,
        study: Study,  # noqa: ARG002
        trial: FrozenTrial,  # noqa: ARG002
        search_space: dict[str, BaseDistribution],  # noqa: ARG002
    ) -> dict[str, Any]:
        """No parameter is drawn together with others."""
        return {}

    def sample_independent(
        self,
        study: Study,  # noqa: ARG002
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,  # noqa: ARG002
    ) -> Value:
        """The value that the plan has for this trial."""
        return self._space.point(self._seed, trial.number)[param_name]


class SeededTpeSampler(BaseSampler):
    """TPE, with a generator that depends on the seed and the number of the trial alone.

    Runners that are seeded alike don't repeat each other; what is drawn depends on the trials that are finished by then.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._tpe = TPESampler(seed=seed)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """As TPE does; the first that Optuna asks for a trial."""
        self._tpe = TPESampler(seed=derive_seed(self._seed, "tpe", trial.number) % 2**32)
        return self._tpe.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """As TPE does."""
        return self._tpe.sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """As TPE does."""
        return self._tpe.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        """As TPE does."""
        self._tpe.after_trial(study, trial, state, values)


def suggest(trial: Trial, name: str, distribution: BaseDistribution) -> Value:
    """The value of a parameter of a trial: as it was drawn before, or drawn now and stored."""
    match distribution:
        case FloatDistribution(low=low, high=high, log=log, step=step):
            return trial.suggest_float(name, low, high, log=log, step=step)
        case IntDistribution(low=low, high=high, log=log, step=step):
            return trial.suggest_int(name, low, high, log=log, step=step)
        case CategoricalDistribution(choices=choices):
            return trial.suggest_categorical(name, choices)
    raise TypeError(f"no parameter is drawn from a {type(distribution).__name__}")
