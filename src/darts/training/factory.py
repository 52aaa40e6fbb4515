"""A model that a function of the user makes, which is run only when the user names it."""

import importlib
from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from darts.core.errors import ModelError, one_line

FLAG = "--model-factory"


def model_from_factory(factory: str, allowed: str | None, arguments: Mapping[str, Any]) -> nn.Module:
    """Import the function `package.module:function` and call it.

    Parameters
    ----------
    factory
        The function that makes the model; the name may come out of a checkpoint.
    allowed
        The function that the user named.
    arguments
        Its keywords: `in_channels`, `classes`, and the options.

    Raises
    ------
    ModelError
        When it isn't the allowed one, can't be imported, fails, or returns something else; what the code of the user raised
        is the cause.
    """
    if factory != allowed:
        given = f", but it is {allowed}" if allowed else ""
        raise ModelError(
            f"the model is made by the function {factory}, and code that a checkpoint names is run only when you name it, "
            f"too{given}; give {FLAG} {factory} if you trust it."
        )
    make = _imported(factory)
    try:
        model = make(**arguments)
    except Exception as error:
        raise ModelError(
            f"{FLAG} {factory} failed with {listed(arguments)} ({type(error).__name__}: {one_line(error)}); correct it, or "
            "--model-options."
        ) from error
    if not isinstance(model, nn.Module):
        raise ModelError(f"{FLAG} {factory} must return a torch.nn.Module, but returned a {type(model).__name__}.")
    return model


def listed(options: Mapping[str, Any]) -> str:
    """Options as a message says them: `a=1, b=x`."""
    return ", ".join(f"{name}={value}" for name, value in options.items())


def _imported(factory: str) -> Callable[..., Any]:
    module, _, function = factory.partition(":")
    if not module or not function:
        raise ModelError(f"{FLAG} is package.module:function, but got {factory!r}.")
    try:
        found = getattr(importlib.import_module(module), function, None)
    except Exception as error:
        raise ModelError(
            f"{FLAG} {factory} can't be imported ({type(error).__name__}: {one_line(error)}); install the module, or name "
            "its folder in PYTHONPATH."
        ) from error
    if not callable(found):
        raise ModelError(f"{FLAG}: the module {module} has no function {function}.")
    return found
