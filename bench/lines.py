"""Log lines of the kinds that the rule packs are for, made from a seed: none is real."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator, Sequence
from itertools import islice

from bench.corpus import TEAMS, USERS, Trail

_TIME = "2026-11-20T10:<two>:<two>"
_FLOW = (
    "2 111122223333 eni-0<hex16> <ip> <ip> <port> <service> 6 <small> <number>"
    " 1795168800 1795168860"
)
_REPORT = (
    "REPORT RequestId: <uuid>\tDuration: <ms> ms\tBilled Duration: 13 ms\tMemory Size: 256 MB"
    "\tMax Memory Used: 9<digit> MB\t"
)
_ALB = (
    f"https {_TIME}.<six>Z app/<team>/<hex16> <ip>:<port> 10.0.<digit>.<two>:8080"
    " 0.001 0.<six> 0.000 <status> <status> <number> <number>"
    ' "<method> https://<team>.example.com:443/<team>/<number>?page=<small>&sort=price HTTP/2.0"'
    ' "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101" ECDHE-RSA-AES128-GCM-SHA256'
    " TLSv1.2 arn:aws:elasticloadbalancing:eu-west-1:111122223333:targetgroup/<team>/<hex16>"
    f' "Root=1-<hex8>-<hex24>" "<team>.example.com" "-" 0 {_TIME}.<six>Z'
    ' "forward" "-" "-" "10.0.<digit>.<two>:8080" "<status>" "-" "-"'
)
_EKS = {
    "kind": "Event",
    "apiVersion": "audit.k8s.io/v1",
    "level": "Metadata",
    "auditID": "<uuid>",
    "stage": "ResponseComplete",
    "requestURI": "/api/v1/namespaces/<team>/<resource>/<hex8>",
    "verb": "<verb>",
    "user": {
        "username": "system:serviceaccount:<team>:<team>",
        "uid": "<uuid>",
        "groups": ["system:serviceaccounts", "system:authenticated"],
    },
    "sourceIPs": ["<ip>"],
    "userAgent": "kube-controller-manager/v1.33.1 (linux/arm64) kubernetes/<hex8>",
    "objectRef": {"resource": "<resource>", "namespace": "<team>", "name": "<hex8>"},
    "responseStatus": {"metadata": {}, "code": 200},
    "requestReceivedTimestamp": f"{_TIME}.<six>Z",
    "stageTimestamp": f"{_TIME}.<six>Z",
    "annotations": {"authorization.k8s.io/decision": "allow", "authorization.k8s.io/reason": ""},
}
_RESOLVER = {
    "version": "1.100000",
    "account_id": "111122223333",
    "region": "eu-west-1",
    "vpc_id": "vpc-0a1b2c3d4e5f60718",
    "query_timestamp": f"{_TIME}Z",
    "query_name": "<team>.example.com.",
    "query_type": "A",
    "query_class": "IN",
    "rcode": "<rcode>",
    "answers": [{"Rdata": "<ip>", "Type": "A", "Class": "IN"}],
    "srcaddr": "<ip>",
    "srcport": "<port>",
    "transport": "UDP",
    "srcids": {"instance": "i-0<hex16>"},
}
_WAF = {
    "timestamp": 1795168800123,
    "formatVersion": 1,
    "webaclId": "arn:aws:wafv2:eu-west-1:111122223333:regional/webacl/shop/<uuid>",
    "terminatingRuleId": "Default_Action",
    "terminatingRuleType": "REGULAR",
    "action": "<action>",
    "terminatingRuleMatchDetails": [],
    "httpSourceName": "ALB",
    "httpSourceId": "111122223333-app/shop/<hex16>",
    "ruleGroupList": [{"ruleGroupId": "AWS#AWSManagedRulesCommonRuleSet", "terminatingRule": None}],
    "rateBasedRuleList": [],
    "nonTerminatingMatchingRules": [],
    "httpRequest": {
        "clientIp": "<ip>",
        "country": "<country>",
        "headers": [{"name": "Host", "value": "<team>.example.com"}],
        "uri": "/<team>/<number>",
        "args": "page=<small>",
        "httpVersion": "HTTP/2.0",
        "httpMethod": "<method>",
        "requestId": "1-<hex8>-<hex24>",
    },
}
_API = {
    "requestId": "<uuid>",
    "ip": "<ip>",
    "requestTime": "20/Nov/2026:10:<two>:<two> +0000",
    "httpMethod": "<method>",
    "routeKey": "<method> /<team>",
    "status": "<status>",
    "protocol": "HTTP/1.1",
    "responseLength": "<number>",
    "responseLatency": "<small>",
    "integrationLatency": "<small>",
}
_POSTGRES = "2026-11-20 10:<two>:<two> UTC:<ip>(<port>):app@shop:[<number>]:"
_MYSQL = f"{_TIME}.<six>Z <number> "
_SYSLOG = "Nov 20 10:<two>:<two> ip-10-0-1-<two> "

_TEMPLATES: dict[str, Sequence[tuple[int, str]]] = {
    "http-access": ((1, _ALB),),
    "vpc-flow-logs": ((97, f"{_FLOW} ACCEPT OK"), (3, f"{_FLOW} REJECT OK")),
    "lambda": (
        (30, "START RequestId: <uuid> Version: $LATEST\n"),
        (30, "END RequestId: <uuid>\n"),
        (30, f"{_REPORT}\n"),
        (3, f"{_REPORT}Init Duration: <ms> ms\t\n"),
        (6, f"[INFO]\t{_TIME}.110Z\t<uuid>\torder <number> of <team> was shipped\n"),
        (1, f"[ERROR]\t{_TIME}.110Z\t<uuid>\tpayment provider answered 502\n"),
    ),
    "eks-audit": ((1, json.dumps(_EKS)),),
    "route53-resolver": ((1, json.dumps(_RESOLVER)),),
    "waf": ((1, json.dumps(_WAF)),),
    "api-gateway": ((1, json.dumps(_API)),),
    "rds-postgresql": (
        (90, f"{_POSTGRES}LOG:  connection authorized: user=app database=shop"),
        (4, f"{_POSTGRES}LOG:  duration: <ms> ms  statement: VACUUM <team>"),
        (4, f'{_POSTGRES}ERROR:  column "<team>" does not exist at character 8'),
        (2, f'{_POSTGRES}FATAL:  password authentication failed for user "app"'),
    ),
    "rds-mysql": (
        (90, f"{_MYSQL}[Note] [MY-012469] [InnoDB] page cleaner took <number> ms"),
        (5, "# Query_time: 2.<six>  Lock_time: 0.<six>  Rows_sent: <small>  Rows_examined: 951"),
        (3, f"{_MYSQL}[ERROR] [MY-010934] [Server] Error writing file '/rdsdbdata/tmp/<hex8>'"),
        (2, f"{_MYSQL}[Note] [MY-010926] [Server] Access denied for user '<user>'@'<ip>'"),
    ),
    "linux-syslog": (
        (90, f"{_SYSLOG}systemd[1]: Started session <number> of user <user>."),
        (4, f"{_SYSLOG}sshd[<number>]: Failed password for <user> from <ip> port <port> ssh2"),
        (4, f"{_SYSLOG}sshd[<number>]: Accepted publickey for <user> from <ip> port <port> ssh2"),
        (2, f"{_SYSLOG}sudo:   <user> : TTY=pts/0 ; PWD=/srv ; USER=root ; COMMAND=/bin/true"),
    ),
}


class _Values:
    """Values for the places in templates."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._one_of = {
            "team": TEAMS,
            "user": USERS,
            "status": ("200",) * 16 + ("304", "302", "404", "503"),
            "method": ("GET",) * 8 + ("POST", "HEAD"),
            "service": ("443", "443", "443", "80", "22", "5432"),
            "resource": ("pods", "leases", "configmaps", "endpoints", "secrets"),
            "verb": ("get", "watch", "list", "update"),
            "rcode": ("NOERROR",) * 9 + ("NXDOMAIN",),
            "action": ("ALLOW",) * 9 + ("BLOCK",),
            "country": ("CH", "DE", "US", "JP", "BR"),
        }
        self._numbers = {
            "digit": (1, 9),
            "two": (10, 59),
            "small": (1, 120),
            "number": (100, 99_999),
            "port": (1024, 65_535),
            "six": (100_000, 999_999),
        }

    def __call__(self, place: re.Match[str]) -> str:
        name, rng = place[1], self._rng
        if name in self._one_of:
            return rng.choice(self._one_of[name])
        if name in self._numbers:
            return str(rng.randint(*self._numbers[name]))
        if name == "ip":
            return f"{rng.choice((10, 203))}.0.{rng.randint(0, 255)}.{rng.randint(1, 254)}"
        if name == "ms":
            return f"{rng.lognormvariate(4, 1):.2f}"
        if name == "uuid":
            return f"{rng.getrandbits(32):08x}-1b2c-4d3e-8f90-{rng.getrandbits(48):012x}"
        digits = int(name.removeprefix("hex"))
        return f"{rng.getrandbits(4 * digits):0{digits}x}"


def _records(seed: int) -> Iterator[str]:
    for record in Trail(seed).records():
        yield json.dumps(record, separators=(",", ":"))


def _lines(pack: str, seed: int) -> Iterator[str]:
    rng = random.Random(seed)
    values, (weights, templates) = _Values(rng), zip(*_TEMPLATES[pack], strict=True)
    while True:
        yield re.sub(r"<(\w+)>", values, rng.choices(templates, weights)[0])


CLOUDTRAIL = (
    "cis-aws-foundations",
    "cloudtrail-security",
    "cloudtrail-identity",
    "cloudtrail-data",
    "cloudtrail-compute",
    "cloudtrail-exposure",
    "cloudtrail-defenses",
    "cloudtrail-ai",
    "cloudtrail-account",
)
"""The packs whose rules are for CloudTrail records."""

PACKS = tuple(_TEMPLATES)
"""The other ones."""


def lines(pack: str, count: int, *, seed: int = 1) -> list[bytes]:
    """Messages for a pack."""
    texts = _records(seed) if pack in CLOUDTRAIL else _lines(pack, seed)
    return [text.encode() for text in islice(texts, count)]
