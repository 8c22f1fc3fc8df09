"""Roles that other accounts may assume, and the regions of accounts, as moto lacks them."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qs

from metric_filter_demo.protocol import ApiError, Request

_REGIONS = ("eu-west-1", "us-east-1")


class Accounts:
    """Checks AssumeRole and answers ListRegions. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._roles: dict[str, str] = {}
        """External ids by ARN; empty if the role's trust policy requires none."""
        self._regions: dict[str, tuple[str, ...]] = {}

    def role_create(self, arn: str, external_id: str = "") -> None:
        """Create a role, or replace its trust policy; every account may assume it."""
        with self._lock:
            self._roles[arn] = external_id

    def role_delete(self, arn: str) -> None:
        """Delete a role."""
        with self._lock:
            del self._roles[arn]

    def enable_regions(self, account: str, regions: Iterable[str]) -> None:
        """Replace the regions that are enabled for an account."""
        with self._lock:
            self._regions[account] = tuple(regions)

    def check_assume_role(self, request: Request) -> None:
        """Raise ApiError if the role is missing, or its external id is another one."""
        parameters = parse_qs(request.body.decode("utf-8", "replace"))
        arn, given = (parameters.get(name, [""])[0] for name in ("RoleArn", "ExternalId"))
        with self._lock:
            wanted = self._roles.get(arn)
        # AWS: an external id that the trust policy does not require is allowed.
        if wanted is None or (wanted and given != wanted):
            raise ApiError(
                "AccessDeniedException",
                f"User: arn:aws:iam::{request.account}:user/demo is not authorized to perform:"
                f" sts:AssumeRole on resource: {arn}",
                status=403,
            )

    def list_regions(self, request: Request) -> Mapping[str, Any]:
        """Answer ListRegions."""
        with self._lock:
            regions = self._regions.get(request.account, _REGIONS)
        enabled = [{"RegionName": one, "RegionOptStatus": "ENABLED"} for one in regions]
        return {"Regions": enabled}
