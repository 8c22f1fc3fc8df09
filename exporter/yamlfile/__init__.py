"""YAML files with positions: what was read, and where each error of it is.

Knows nothing of what a file is for: ``exporter.configuration`` and ``exporter.ruletests`` do.
"""
