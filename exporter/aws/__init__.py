"""Talking to AWS: clients, quotas, errors. Knows no source and no metric."""

from exporter.aws.quotas import Quotas
from exporter.aws.session import ApiObserver, AwsAccount

__all__ = ["ApiObserver", "AwsAccount", "Quotas"]
