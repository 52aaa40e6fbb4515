"""Hashes of what a dataset holds: of each sample, and of all of them."""

import hashlib
import json

import numpy as np
import pandas as pd

from darts.dataset.manifest import Manifest

FINGERPRINTED_COLUMNS = ("patch_id", "sample_id", "region", "empty", "content_hash")


def content_hash(stored_x: np.ndarray, y_hw: np.ndarray) -> str:
    """SHA-256 of a sample as it is stored: x in 16 bits, as `quantise` gives it, then y."""
    digest = hashlib.sha256(np.ascontiguousarray(stored_x).data)
    digest.update(np.ascontiguousarray(y_hw).data)
    return digest.hexdigest()


def dataset_fingerprint(manifest: Manifest, table: pd.DataFrame) -> str:
    """A hash over bands, patch size and every sample in order; it does not depend on any path."""
    digest = hashlib.sha256(json.dumps([[b.name, b.lo, b.hi, b.fill] for b in manifest.bands]).encode())
    digest.update(str(manifest.patch_size).encode())
    for columns in table[list(FINGERPRINTED_COLUMNS)].itertuples(index=False):
        digest.update("\x1f".join(map(str, columns)).encode())
    return f"sha256:{digest.hexdigest()}"
