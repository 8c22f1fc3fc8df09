"""Fuzzing: what must hold whatever the input is. README.md says how to run it."""
