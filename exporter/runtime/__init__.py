"""The running process: reads the sources, counts their log events, reloads its configuration.

The way of the data for one partition is ``pipeline.py``; who calls it and when is ``engine.py``.
"""
