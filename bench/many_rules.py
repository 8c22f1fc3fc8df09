"""Rule files of any number of rules for the corpus: the 16 rules, and generated ones after them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import yaml

from bench.calls import TAIL
from bench.corpus import REGIONS, ROLES, TEAMS, USERS

SIXTEEN = Path(__file__).with_name("rules") / "sixteen.yaml"

_CONDITIONS = (
    "($.errorCode NOT EXISTS)",
    '($.userIdentity.type = "AssumedRole")',
    '($.userIdentity.type != "AWSService")',
    '($.awsRegion = "{region}")',
    '($.awsRegion != "{region}")',
    '($.sourceIPAddress != "10.*")',
    '($.userAgent != "*Terraform*")',
    "($.readOnly IS FALSE)",
    "($.userAgent = %^aws-sdk|^Boto3|^aws-cli%)",
    '($.userIdentity.sessionContext.attributes.mfaAuthenticated = "false")',
    '($.requestParameters.name = "{team}-*")',
    '($.userIdentity.sessionContext.sessionIssuer.userName != "{role}")',
    '($.recipientAccountId = "1*")',
    '($.eventType = "AwsApiCall")',
    "($.tlsDetails.tlsVersion = %TLSv1[.][23]%)",
)
_WITHOUT_NAME = (
    '{{ $.errorCode = "*{word}Exception" }}',
    '{{ ($.errorCode = "Throttling*") && ($.awsRegion = "{region}") }}',
    '{{ $.userIdentity.arn = "*:assumed-role/{role}/{team}-*" }}',
    '{{ $.sourceIPAddress = "10.4.{digit}*" }}',
    '{{ $.sourceIPAddress = "172.18.{number}.*" }}',
    '{{ $.userAgent = "*terraform-provider-{team}/*" }}',
    "{{ $.userAgent = %{team}-agent/[0-9]+% }}",
    "{{ $.userIdentity.arn = %role/{role}/{team}-[0-9a-f]+% }}",
    '{{ $.userIdentity.userName = "{user}" }}',
    '{{ $.userIdentity.accessKeyId = "AKIA{word}EXAMPLE" }}',
    '{{ ($.requestParameters.{word} = "*") && ($.readOnly IS FALSE) }}',
    '{{ ($.userIdentity.type != "AssumedRole") && ($.sourceIPAddress != "10.*") &&'
    ' ($.userIdentity.invokedBy NOT EXISTS) && ($.eventSource != "{service}.amazonaws.com") &&'
    ' ($.awsRegion != "us-*") && ($.eventName != "List*") && ($.errorCode NOT EXISTS) }}',
)
_WORDS = ("Quota", "Policy", "Limit", "Token", "Stack", "Bucket", "Replica", "Cache", "Domain")


def rule_file(folder: Path, rules: int, *, mixed: bool) -> Path:
    """Write a file with so many rules. ``mixed``: a fifth of the generated ones names no event."""
    sixteen = yaml.safe_load(SIXTEEN.read_text())["rules"]
    generated = (
        {"name": f"generated_{number}", "pattern": pattern}
        for number, pattern in enumerate(_patterns(rules - len(sixteen), mixed=mixed))
    )
    path = folder / f"{rules}-{'mixed' if mixed else 'named'}.yaml"
    path.write_text(yaml.safe_dump({"rules": [*sixteen, *generated]}))
    return path


def _patterns(count: int, *, mixed: bool) -> Iterator[str]:
    rng = random.Random(5)
    for number in range(count):
        if mixed and number % 5 == 4:
            yield _filled(rng, rng.choice(_WITHOUT_NAME))
            continue
        # The first ones look for more frequent events, so that 100 rules have some matches, too.
        named = rng.choices(TAIL[: 150 + number // 8], k=rng.choice((1, 2)))
        names = " || ".join(f"($.eventName = {call.name})" for call in named)
        conditions = [f"({names})" if len(named) > 1 else names]
        if rng.random() < 0.5 and len(named) == 1:
            conditions.append(f'($.eventSource = "{named[0].service}.amazonaws.com")')
        further = rng.sample(_CONDITIONS, rng.choice((0, 0, 1, 1, 2)))
        conditions += [_filled(rng, condition) for condition in further]
        yield f"{{ {' && '.join(conditions)} }}"


def _filled(rng: random.Random, template: str) -> str:
    return template.format(
        region=rng.choice(REGIONS),
        role=rng.choice(ROLES),
        team=rng.choice(TEAMS),
        user=rng.choice(USERS),
        word=rng.choice(_WORDS),
        service=rng.choice(TAIL).service,
        number=rng.randint(0, 255),
        digit=rng.randint(1, 9),
    )
