"""Fuzzing: properties that are true for any input. README.md says how to run it."""
