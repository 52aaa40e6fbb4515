"""`python -m darts`, and the entry point of the `darts` console script."""

from darts.cli.app import main

if __name__ == "__main__":
    main()
