"""A run that trains nothing: for tests of what is around it."""

import json
from collections.abc import Callable

from darts.tune.plan import VAL_METRICS


def fake_run(metric: Callable[..., float] = lambda spec: 0.5):
    """A stand-in for `darts.training.run.run` whose metrics are all what `metric(spec)` says; notes what it ran."""

    def run(spec):
        run.specs.append(spec)
        value = metric(spec)
        spec.directory.path.mkdir(parents=True)
        result = {"run_id": spec.run_id, "duration": 1.5, "metrics": dict.fromkeys(VAL_METRICS, value)}
        spec.directory.result.write_text(json.dumps(result))

    run.specs = []
    return run
