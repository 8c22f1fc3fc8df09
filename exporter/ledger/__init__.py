"""The ledger: checkpoints, memory of counted events and series totals, committed together.

``base.py`` is the interface, and ``ledger.py`` implements it, one transaction for each method. A
commit (``committing.py``) finds out with ``memory.py`` and ``judging.py`` what is new, and adds it
with ``tally.py``, ``counting.py`` and ``sums.py``, all pure functions; ``placing.py`` reads and
writes the rows for them. ``retention.py`` expires memory, and ``rules.py`` keeps the versions of
rules.

Memory is blocks of entries (``blocks.py``) that refer to sets of rules (``rule_sets.py``);
``reading_time.py`` reads the entries of earlier versions.

All read and write rows (``tables.py``) through ``store.py``. ``sqlite_store.py`` stores rows in
SQLite and keeps some of them (``row_cache.py``), ``database.py``, ``storage.py`` and ``space.py``
look after the file, ``sqlite.py`` puts the parts together. ``audit.py`` finds damage, ``review.py``
previews a new configuration, and ``migration.py`` converts a ledger of schema 1.
"""
