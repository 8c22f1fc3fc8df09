"""Objects and files read ahead in threads, and evaluated in processes of their own.

``resources.py`` finds how many fit the container. With one worker, ``contents.py`` only loads
ahead. With more, ``pool.py`` has the processes, ``process.py`` is one of them, and ``dispatch.py``
hands jobs (``jobs.py``) to them and returns the outcome in order. Knows neither the ledger nor
HTTP.
"""
