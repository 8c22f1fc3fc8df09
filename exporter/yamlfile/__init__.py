"""YAML files with positions: values, and errors with their places.

Knows nothing of what a file is for: ``exporter.configuration`` and ``exporter.ruletests`` do.
"""
