"""What every part of `darts` shares: settings, names, bands, errors, logging. Standard library and pydantic only."""
