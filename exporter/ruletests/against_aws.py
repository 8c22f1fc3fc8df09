"""Rule tests' messages, matched by AWS as well: TestMetricFilter."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from exporter.aws.accounts import AwsAccounts
from exporter.aws.calls import Call
from exporter.aws.errors import AWS_ERRORS, error_code, source_error
from exporter.configuration import Location, RuleConfig
from exporter.model import SourceError
from exporter.ruletests.models import RuleTestFile

# AWS: TestMetricFilter takes 1 through 50 messages of at least one character.
_MESSAGES = 50
# How large a request may be is not documented; PutLogEvents takes this much.
_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class Difference:
    """A message that AWS and the exporter judge differently, or a pattern that AWS refuses."""

    rule: RuleConfig
    message: str = ""
    tests: tuple[Location, ...] = ()
    """The tests that have the message."""
    aws_matches: bool = False
    refusal: str = ""
    """AWS's reason to refuse the pattern; empty if it accepts it."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """The result of comparing a file of rule tests with AWS."""

    differences: tuple[Difference, ...]
    compared: int
    """Pairs of a rule and a message."""
    notes: tuple[str, ...]
    """The tests that could not be compared, a sentence each."""


TestMetricFilter = Callable[..., Any]
"""The call as a function of its parameters, which raises botocore's errors."""


def open_logs(accounts: AwsAccounts) -> tuple[TestMetricFilter, str]:
    """The call in the environment's region, and the region; raises SourceError."""
    region = accounts.default_region
    if region is None:
        raise SourceError(
            "No AWS region is known: set AWS_REGION. TestMetricFilter answers alike in all.",
            reason="invalid_request",
        )
    return accounts.request(Call("logs", "TestMetricFilter", "", region)), region


def compare(file: RuleTestFile, ask: TestMetricFilter, region: str) -> Comparison:
    """Ask AWS of each rule which of all the file's messages it matches.

    Raises SourceError if AWS does not answer.
    """
    tests: dict[str, list[Location]] = {}
    for test in file.tests:
        for message in test.messages:
            places = tests.setdefault(message, [])
            if test.location not in places:
                places.append(test.location)
    messages = [message for message in tests if message]
    notes = []
    if len(messages) < len(tests):
        notes.append("an empty message was left out: TestMetricFilter takes none")
    differences: list[Difference] = []
    compared = 0
    for rule in file.rules:
        limit = next((w for w in rule.compiled.warnings if w.code == "aws-limit"), None)
        if limit is not None:
            notes.append(f"the rule `{rule.name}` was left out: {limit.message}")
            continue
        try:
            matched = _matched_by_aws(rule.pattern, messages, ask)
        except AWS_ERRORS as error:
            if not _is_refusal(error):
                call = Call("logs", "TestMetricFilter", "", region)
                raise source_error(error, call) from error
            differences.append(Difference(rule, refusal=str(error)))
            continue
        compared += len(messages)
        differences += [
            Difference(rule, message, tuple(tests[message]), aws_matches=message in matched)
            for message in messages
            if (message in matched) != (rule.compiled.match(message) is not None)
        ]
    return Comparison(tuple(differences), compared, tuple(notes))


def _matched_by_aws(pattern: str, messages: Iterable[str], ask: TestMetricFilter) -> frozenset[str]:
    matched: set[str] = set()
    for batch in _batches(messages):
        answer = ask(filterPattern=pattern, logEventMessages=batch)
        # AWS: eventNumber counts from 1.
        matched.update(batch[match["eventNumber"] - 1] for match in answer["matches"])
    return frozenset(matched)


def _batches(messages: Iterable[str]) -> Iterator[Sequence[str]]:
    batch: list[str] = []
    size = 0
    for message in messages:
        length = len(message.encode())
        if batch and (len(batch) == _MESSAGES or size + length > _BYTES):
            yield batch
            batch, size = [], 0
        batch.append(message)
        size += length
    if batch:
        yield batch


def _is_refusal(error: Exception) -> bool:
    """Whether AWS refuses the pattern rather than the call."""
    return isinstance(error, ClientError) and error_code(error) == "InvalidParameterException"
