"""Names and ids of runs: readable, random, and safe as one component of a path."""

import re
import secrets
from typing import Annotated

from pydantic import AfterValidator

from darts.core.errors import ConfigError

_ADJECTIVES = (
    "amber arctic bold brisk bright calm clear cold crisp deep eager early fair fast fine frosty gentle glacial golden "
    "grand green icy keen kind light lively lucid mellow mild misty noble northern open pale polar proud quick quiet "
    "rapid rocky sandy silent silver slow soft solid still sunny swift tidal vast warm wild windy young"
).split()
_NOUNS = (
    "alder aspen basin bay birch brook cape cirque cliff cloud coast cove creek delta dune esker fjord floe fox gorge "
    "grove gull harbor heath hill hollow inlet island kelp lagoon lake larch ledge lichen marsh meadow moor moss owl "
    "peak pine pingo plain pond raven reef ridge river seal shoal shore slope slump snow spit spruce steppe stream "
    "summit swan taiga thaw tide tundra valley willow"
).split()
_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")


def random_name() -> str:
    """A readable name such as `quiet-tundra`."""
    return f"{secrets.choice(_ADJECTIVES)}-{secrets.choice(_NOUNS)}"


def random_id() -> str:
    """Eight characters of [0-9a-f]."""
    return secrets.token_hex(4)


def safe_name(name: str) -> str:
    """The name itself, when it can be one component of a path on any system.

    Raises
    ------
    ConfigError
        When it is empty, longer than 64 characters, begins with `.` or `-`, holds `..`, or holds anything but letters,
        digits and `. _ + -`.
    """
    if not _SAFE.fullmatch(name) or ".." in name:
        raise ConfigError(
            "a name has 1 to 64 letters, digits or any of . _ + -, begins with a letter or digit, and has no '..', "
            f"but got {name!r}."
        )
    return name


def _validate(name: str) -> str:
    try:
        return safe_name(name)
    except ConfigError as error:
        raise ValueError(str(error).partition(", but got")[0]) from None


SafeName = Annotated[str, AfterValidator(_validate)]
"""Text that passes `safe_name`, as a field of a config."""
