"""`python -m darts`, and the entry point of the `darts` console script."""

import os

from darts.cli.app import main

# Threads of torch that wait for each other by spinning cost ten times the work on cores that are shared; this has to be
# said before torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

if __name__ == "__main__":
    main()
