"""Coverage-guided fuzzing of the engine: `make fuzz`, or `python -m fuzz --help`."""
