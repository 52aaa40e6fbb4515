"""Simulated scenes with known truth, for the quickstart and the tests."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from darts.sample.make import SampleData, make_sample_data

__all__ = ["SampleData", "make_sample_data"]


def __getattr__(name: str) -> Any:
    """Import what is asked for, and only then."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from darts.sample import make

    return getattr(make, name)
