"""The ledger: checkpoints, memory of counted events and series totals, committed together.

``base.py`` is the interface, and ``ledger.py`` implements it, one transaction for each method. In a
transaction ``counting.py`` decides what a batch adds (pure functions), ``memory.py`` remembers
events, ``retention.py`` expires them, and ``rules.py`` keeps the versions of rules.

They read and write rows (``tables.py``) through ``store.py``. ``sqlite_store.py`` stores rows in
SQLite, ``database.py`` and ``storage.py`` look after the file, ``sqlite.py`` puts the parts
together. ``audit.py`` finds damage, ``review.py`` previews a new configuration, and
``migration.py`` converts a ledger of schema 1.
"""
