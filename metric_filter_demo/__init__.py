"""The demo: the whole exporter against an AWS that runs inside it.

It is no part of what runs in production: it needs the extra ``demo`` (moto's server), the container
image is without it, and nothing of the exporter imports it but the command ``demo``.
"""
