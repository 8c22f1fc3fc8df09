"""An AwsAccounts over the embedded AWS, and an observer of its requests."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence

from botocore.loaders import create_loader
from botocore.session import Session

from exporter.aws.accounts import AwsAccounts
from exporter.aws.quotas import Quotas
from exporter.clock import Clock
from exporter.sources.base import Environment
from exporter.sources.event_history import EventHistory, EventHistoryConfig
from exporter.sources.log_groups import LogGroups, LogGroupsConfig

ACCOUNT = "123456789012"
_MODELS = create_loader()
"""Of AWS's services: parsed once, and not again for each account that a test opens."""


def event_history(
    name: str, accounts: AwsAccounts, regions: Sequence[str] = (), **options: object
) -> EventHistory:
    """A source of the type ``event_history``."""
    config = EventHistoryConfig(name=name, regions=tuple(regions) or None, **options)
    return config.source(Environment(accounts, Clock()), {})


def log_groups(
    name: str, accounts: AwsAccounts, groups: Sequence[str], regions: Sequence[str] = ()
) -> LogGroups:
    """A source of the type ``log_groups``."""
    config = LogGroupsConfig(name=name, log_groups=tuple(groups), regions=tuple(regions) or None)
    return config.source(Environment(accounts, Clock()), {})


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
        made.register_component("data_loader", _MODELS)
        made.set_credentials("testing", "testing")
        made.set_config_variable("region", region)
        return made

    return AwsAccounts(
        session, quotas=quotas or Quotas(lambda *_: None), observer=observer, stop=stop
    )
