"""A run of pages ends, whatever tokens come."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from exporter.aws.calls import Call
from exporter.aws.pages import EMPTY_PAGES, KNOWN_TOKENS, pages
from exporter.model import Partition, SourceError
from metric_filter_demo.aws import EmbeddedAws
from metric_filter_demo.faults import Faults
from tests.support.aws import ACCOUNT, event_history, open_account

CALL = Call("logs", "FilterLogEvents", ACCOUNT, "us-east-1")


Page = tuple[list[int], str | None]


class Api:
    """Answers with pages as they are told: records and the next token."""

    def __init__(self, answers: Any) -> None:
        self._answers = iter(answers)
        self.asked: list[Any] = []

    def __call__(self, **parameters: Any) -> dict[str, Any]:
        self.asked.append(parameters.get("nextToken"))
        records, token = next(self._answers)
        return {"events": records, "nextToken": token}


def test_every_token_is_followed_to_the_end() -> None:
    api = Api([([1], "a"), ([], "b"), ([], "b"), ([2, 3], "c"), ([], None)])
    assert list(pages(api, CALL, {"limit": 5})) == [[1], [], [], [2, 3], []]
    assert api.asked == [None, "a", "b", "b", "c"]


def test_a_long_scan_with_nothing_to_show_is_followed() -> None:
    tokens = map(str, itertools.count())
    nothing: list[Page] = [([], next(tokens)) for _ in range(2 * EMPTY_PAGES - 2)]
    nothing.insert(EMPTY_PAGES - 1, ([1], "x"))
    found = pages(Api([*nothing, ([2], None)]), CALL, {})
    assert list(itertools.chain.from_iterable(found)) == [1, 2]


@pytest.mark.parametrize(
    ("answers", "message", "most"),
    [
        ((([], f"{n}") for n in itertools.count()), "2000 empty pages in a row", EMPTY_PAGES),
        ((([], "same") for _ in itertools.count()), "same values of nextToken", KNOWN_TOKENS + 1),
        ((([1], t) for t in itertools.cycle("ab")), "same values of nextToken", KNOWN_TOKENS + 2),
    ],
)
def test_tokens_without_end_are_given_up(answers: Any, message: str, most: int) -> None:
    api = Api(answers)
    with pytest.raises(SourceError, match=f"logs:FilterLogEvents in .*{message}") as caught:
        list(pages(api, CALL, {}))
    assert caught.value.reason == "error"
    assert len(api.asked) == most


def test_a_run_that_goes_on_for_ever_is_given_up() -> None:
    api = Api(([1], f"{number}") for number in itertools.count())
    with pytest.raises(SourceError, match=r"page after page for 0\.05 s"):
        list(pages(api, CALL, {}, seconds=0.05))


@pytest.mark.parametrize(("seed", "message"), [(1, "200 empty pages"), (4, "same values")])
def test_so_it_is_with_a_real_client(
    aws: EmbeddedAws, monkeypatch: pytest.MonkeyPatch, seed: int, message: str
) -> None:
    monkeypatch.setattr("exporter.aws.pages.EMPTY_PAGES", 200)
    history = event_history("history", open_account(), ["us-east-1"])
    aws.faults = Faults(endless=1, operations={"LookupEvents"}, seed=seed)
    with pytest.raises(SourceError, match=message):
        list(history.pages(Partition("history", ACCOUNT, "us-east-1"), 0, 1000))
