"""An AwsAccounts over the embedded AWS, and an observer of its requests."""

from __future__ import annotations

import threading
from collections import Counter

from botocore.session import Session

from exporter.aws.accounts import AwsAccounts
from exporter.aws.quotas import Quotas

ACCOUNT = "123456789012"


class Requests:
    """An ApiObserver that keeps count."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str, str]] = Counter()
        self.accounts: set[str] = set()

    def api_request(
        self, *, service: str, operation: str, account_id: str, region: str, outcome: str
    ) -> None:
        self.counts[f"{service}:{operation}", region, outcome] += 1
        self.accounts.add(account_id)


def open_account(
    *,
    region: str | None = "us-east-1",
    quotas: Quotas | None = None,
    observer: Requests | None = None,
    stop: threading.Event | None = None,
) -> AwsAccounts:
    """An account that does not wait for quotas, at the endpoint that the environment names."""

    def session() -> Session:
        made = Session()
        made.set_credentials("testing", "testing")
        made.set_config_variable("region", region)
        return made

    return AwsAccounts(
        session, quotas=quotas or Quotas(lambda *_: None), observer=observer, stop=stop
    )
