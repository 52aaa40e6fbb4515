"""The command line: flags from the config models, and one module for each group of commands."""
