"""The ledger: checkpoints, memory of events and series totals, committed together.

``base.py`` is its interface. What counts is decided in ``counting.py``, on sets of rows; a store
(``store.py``) keeps these. ``sqlite.py`` is the ledger in one file.
"""
