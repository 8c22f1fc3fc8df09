"""AWS: accounts and their clients, request quotas, and the meaning of errors and answers.

``accounts.py`` is the entry point: it returns the pages of a call in an account and region.
Knows nothing of log events, sources and rules.
"""
