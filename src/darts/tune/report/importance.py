"""How much each hyperparameter matters for the score, as far as the trials tell."""

import math
import warnings
from collections.abc import Collection, Sequence

from optuna.importance import FanovaImportanceEvaluator, get_param_importances
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from darts.core.errors import one_line
from darts.core.seeds import SPLIT_SEED
from darts.tune.table import is_unstable, score_of

FEW_TRIALS = 30
"""With fewer trials than this, importances change with every further one."""
_FEWEST_STABLE = 4
# Deeper trees take a minute for 2000 trials, and say the same.
_DEPTH = 6


def parameter_importances(study: Study, names: Sequence[str]) -> dict[str, dict[str, float]] | str:
    """How much of the differences between scores each parameter explains (fANOVA), or a sentence why that isn't known.

    Returns
    -------
    importances
        Shares by parameter, which sum to 1, for `all trials` and, if some are unstable, for the `stable trials`: a few
        trials that collapsed would hide all that matters among the others.
    """
    trials = [
        trial
        for trial in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        if math.isfinite(score_of(trial)) and set(names) <= set(trial.params)
    ]
    problem = _problem(trials, names)
    if problem:
        return problem
    groups = {"all trials": trials}
    stable = [trial for trial in trials if not is_unstable(trial)]
    if _FEWEST_STABLE <= len(stable) < len(trials) and not _problem(stable, names):
        groups["stable trials"] = stable
    try:
        return {label: _fanova(study, names, {trial.number for trial in group}) for label, group in groups.items()}
    except (ValueError, RuntimeError, ArithmeticError) as error:
        return f"The importance of the parameters could not be computed: {one_line(error)}"


def _problem(trials: Sequence[FrozenTrial], names: Sequence[str]) -> str | None:
    if not names:
        return "The search space has constants only, so there is nothing to compare."
    if len(trials) < 2:
        there = "one is" if trials else "none is"
        return f"The importance of parameters needs at least two complete trials, but {there} there."
    if len({score_of(trial) for trial in trials}) == 1:
        return "All complete trials have the same score, so no parameter seems to matter."
    return None


def _fanova(study: Study, names: Sequence[str], numbers: Collection[int]) -> dict[str, float]:
    """The shares, by the trials of these numbers alone."""
    # Optuna's default, PED-ANOVA, looks at the best tenth: of 40 trials those are 4, and chance decides.
    evaluator = FanovaImportanceEvaluator(max_depth=_DEPTH, seed=SPLIT_SEED)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what it warns of is said in the report
        shares = get_param_importances(
            study,
            evaluator=evaluator,
            params=list(names),
            # The evaluator leaves out what isn't finite.
            target=lambda trial: score_of(trial) if trial.number in numbers else math.nan,
        )
    if not all(map(math.isfinite, shares.values())):
        raise ValueError("they are not finite numbers.")
    return {name: float(share) for name, share in shares.items()}
