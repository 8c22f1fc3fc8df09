"""Which requests there are for a set of rules."""

from __future__ import annotations

from exporter.patterns import compile_pattern
from exporter.planning.filters import filter_plans
from exporter.planning.interest import Interest, Wanted
from exporter.planning.lookups import lookup_plans
from exporter.planning.plan import EVERYTHING, Plan, Request

DELETES = compile_pattern("{ $.eventName = DeleteUser }")
LOGINS = compile_pattern("{ ($.eventName = ConsoleLogin) && ($.errorMessage = Failed) }")
ROLES = compile_pattern("{ $.eventName = AssumeRole }")
KEYS = compile_pattern("{ ($.eventSource = kms.amazonaws.com) && ($.errorCode = AccessDenied) }")
DENIED = compile_pattern("{ $.errorCode = AccessDenied }")
CHANGES = Request("ReadOnly", "false")


def name(value: str) -> Request:
    return Request("EventName", value)


def requests(plans: tuple[Plan, ...]) -> list[set[Request]]:
    return [set(plan.requests) for plan in plans]


def test_rules_of_changes_need_one_look_up_for_what_is_not_read_only() -> None:
    first, *others = lookup_plans([DELETES, LOGINS])
    assert first.requests == (CHANGES,)
    assert first.kind == "read_only_false"
    assert requests(tuple(others)) == [{name("DeleteUser"), name("ConsoleLogin")}]


def test_rules_of_one_event_name_or_source_need_one_look_up() -> None:
    assert requests(lookup_plans([DELETES])) == [{name("DeleteUser")}]
    assert requests(lookup_plans([KEYS])) == [{Request("EventSource", "kms.amazonaws.com")}]
    assert lookup_plans([DELETES])[0].short == "EventName=DeleteUser"


def test_a_rule_of_read_only_events_can_be_looked_up_besides_the_changes() -> None:
    plans = lookup_plans([DELETES, LOGINS, ROLES])
    assert requests(plans) == [
        {EVERYTHING},
        {CHANGES, name("AssumeRole")},
        {name("DeleteUser"), name("ConsoleLogin"), name("AssumeRole")},
    ]
    assert "AssumeRole" in plans[0].why


def test_a_rule_can_be_looked_up_by_its_event_source() -> None:
    assert {Request("EventSource", "kms.amazonaws.com"), CHANGES} in requests(
        lookup_plans([DELETES, KEYS])
    )


def test_a_rule_that_names_no_event_needs_everything_and_is_named() -> None:
    (plan,) = lookup_plans([DELETES, DENIED])
    assert plan.requests == (EVERYTHING,)
    assert DENIED.text in plan.why


def test_many_event_names_are_not_looked_up_one_by_one() -> None:
    names = " || ".join(f"($.eventName = Describe{number})" for number in range(11))
    (plan,) = lookup_plans([compile_pattern(f"{{ {names} }}")])
    assert plan.kind == "everything"


def test_patterns_that_fit_into_one_request_are_one() -> None:
    first, *others = filter_plans([DELETES, DENIED], "lines")
    assert others == []
    assert first.kind == "pattern"
    assert "DeleteUser" in first.requests[0].value
    assert "AccessDenied" in first.requests[0].value


def test_patterns_that_do_not_fit_have_several_requests_and_everything_to_choose_from() -> None:
    many = [
        compile_pattern(f"{{ ($.name = n{number}) && ($.text = {'x' * 150}) }}")
        for number in range(12)
    ]
    first, *others = filter_plans(many, "lines")
    assert len(first.requests) == 1
    assert {plan.kind for plan in others} <= {"patterns", "weaker"}
    assert all(1 < len(plan.requests) <= 10 for plan in others)
    assert others


def test_a_pattern_that_aws_cannot_be_asked_for_is_named() -> None:
    every = compile_pattern("")
    (plan,) = filter_plans([DELETES, every], "lines")
    assert plan.kind == "everything"


def test_what_was_asked_for_covers_the_same_and_fewer_patterns_only() -> None:
    asked = Interest([Wanted(DELETES), Wanted(LOGINS, until=1000)])
    assert asked.covers(Interest([Wanted(DELETES)]))
    assert asked.covers(Interest([Wanted(LOGINS)]))
    assert not asked.covers(Interest([Wanted(DELETES), Wanted(ROLES)]))


def test_a_version_that_ended_before_what_is_read_is_not_asked_for() -> None:
    interest = Interest([Wanted(DELETES), Wanted(LOGINS, until=1000), Wanted(ROLES, until=3000)])
    asked = interest.since(2000)
    assert asked.patterns == (DELETES, ROLES)
    assert asked.covers(interest)
    # The rule that had ended is back.
    assert not asked.covers(Interest([Wanted(DELETES), Wanted(LOGINS)]))
    assert interest.since(500) is interest
