"""What every part of `darts` shares: settings, names, bands, errors, logging. Standard library, pydantic and rich only."""
