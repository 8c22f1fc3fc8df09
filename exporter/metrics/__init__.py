"""The metrics page: rule series as a scrape may see them, and the exporter's own metrics.

``series.py`` keeps the committed totals and shows new series at zero, ``telemetry.py`` and
``partitions.py`` are the exporter's own metrics, ``exposition.py`` renders the page.
"""
