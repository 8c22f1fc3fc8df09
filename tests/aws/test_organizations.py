"""Which accounts of an organization are selected, whatever its units, states, tags and pages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.aws.accounts import AwsAccounts
from exporter.aws.calls import Call
from exporter.aws.organizations import Selection, members
from exporter.model import SourceError

ROOT = "r-ab12"
STATES = ("ACTIVE", "SUSPENDED", "PENDING_CLOSURE")


@dataclass
class Tree:
    """An organization: the parent of each unit and account, and facts of the accounts."""

    parents: dict[str, str]
    states: dict[str, str]
    tags: dict[str, dict[str, str]]

    def within(self, place: str, selected: str) -> bool:
        return place == selected or (place != ROOT and self.within(self.parents[place], selected))

    def pages(self, call: Call, parameters: Mapping[str, Any]) -> Iterator[Sequence[object]]:
        """As AwsAccounts: one record a page, and empty pages between them."""
        match call.operation:
            case "ListAccounts":
                names = list(self.states)
            case "ListAccountsForParent":
                names = [one for one in self.states if self.parents[one] == parameters["ParentId"]]
            case "ListOrganizationalUnitsForParent":
                names = [
                    one
                    for one, parent in self.parents.items()
                    if parent == parameters["ParentId"] and one not in self.states
                ]
            case _:
                for key, value in self.tags[parameters["ResourceId"]].items():
                    yield [{"Key": key, "Value": value}]
                return
        for name in names:
            yield []
            yield [self._record(name)]

    def _record(self, name: str) -> dict[str, object]:
        state = self.states.get(name, "ACTIVE")
        # Older endpoints send Status only.
        shown = {"Status": state} if int(name[-1], 36) % 2 else {"State": state, "Status": "ACTIVE"}
        arn = f"arn:aws:organizations::1:account/o-a/{name}"
        return {"Id": name, "Name": f"name of {name}", "Arn": arn, **shown}


@st.composite
def trees(draw: st.DrawFn) -> Tree:
    parents: dict[str, str] = {}
    for number in range(draw(st.integers(0, 5))):
        parents[f"ou-ab12-{number:08}"] = draw(st.sampled_from([ROOT, *parents]))
    units = [ROOT, *parents]
    accounts = [f"{number:012}" for number in range(draw(st.integers(0, 6)))]
    parents |= {one: draw(st.sampled_from(units)) for one in accounts}
    tags = st.dictionaries(st.sampled_from("ab"), st.sampled_from("xy"))
    return Tree(
        parents,
        {one: draw(st.sampled_from(STATES)) for one in accounts},
        {one: draw(tags) for one in accounts},
    )


@given(st.data())
def test_accounts_are_selected_by_all_that_they_are_in(data: st.DataObject) -> None:
    tree = data.draw(trees())
    places = st.lists(st.sampled_from([ROOT, *tree.parents]), max_size=3, unique=True)
    selection = Selection(
        tuple(data.draw(places)),
        tuple(data.draw(places)),
        data.draw(st.none() | st.dictionaries(st.sampled_from("ab"), st.sampled_from("xy"))),
    )
    found = members(cast("AwsAccounts", tree), "us-east-1", selection)
    assert [one.id for one in found] == [
        account
        for account, state in tree.states.items()
        if state == "ACTIVE"
        and (not selection.include or any(tree.within(account, of) for of in selection.include))
        and not any(tree.within(account, of) for of in selection.exclude)
        and (selection.tags or {}).items() <= tree.tags[account].items()
    ]
    for one in found:
        assert one.name == f"name of {one.id}"
        assert set(one.included) == {of for of in selection.include if tree.within(one.id, of)}


@pytest.mark.parametrize("record", [None, {}, {"Id": 1}, {"Id": "1", "Name": "a", "Arn": "b"}])
def test_a_record_that_aws_does_not_send_is_an_error_and_no_account_that_left(record: Any) -> None:
    class Odd:
        def pages(self, *_: object) -> Iterator[Sequence[object]]:
            yield [record]

    with pytest.raises(SourceError) as caught:
        members(cast("AwsAccounts", Odd()), "us-east-1", Selection())
    assert caught.value.reason == "unreadable"
