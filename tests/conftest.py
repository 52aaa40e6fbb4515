"""Settings of the whole suite."""

import os

# Torch threads that spin while they wait cost ten times the work on shared cores; said before torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("MPLBACKEND", "Agg")
