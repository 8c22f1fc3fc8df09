"""The running process: reads the sources, counts their log events, reloads its configuration.

``process.py`` starts and stops it, ``engine.py`` keeps a ``reader.py`` for each partition,
``scheduling.py`` runs their polls, ``pipeline.py`` takes a reading from the source to the ledger.
"""
