"""The command line: one module for each sub-command.

``options.py`` makes the options from ``exporter.settings``. ``run.py`` starts the daemon; the
other commands read a configuration or log events, print a result and exit.
"""
