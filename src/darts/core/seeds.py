"""Random seeds: one for all that must not vary, and generators that depend on what they are used for alone."""

import hashlib

SPLIT_SEED = 42
"""Seeds every split, every fold and every plan."""


def derive_seed(*parts: int | str) -> int:
    """A seed in [0, 2**63) that depends on the parts alone, not on how often or in which process it is asked for."""
    digest = hashlib.sha256("\x1f".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
