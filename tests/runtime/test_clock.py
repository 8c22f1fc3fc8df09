"""Time goes by AWS's clock once AWS has answered, whatever the machine's clock says."""

from __future__ import annotations

from dataclasses import dataclass
from email.utils import formatdate

from hypothesis import given
from hypothesis import strategies as st

from exporter.clock import Clock

AWS_START = 1_700_000_000.0


@dataclass
class World:
    """AWS's time, the machine's idea of it, and a monotonic clock."""

    elapsed: float = 0.0
    skew: float = 0.0

    @property
    def aws(self) -> float:
        return AWS_START + self.elapsed

    def clock(self) -> Clock:
        return Clock(wall=lambda: self.aws + self.skew, monotonic=lambda: 5000 + self.elapsed)

    def answer(self, clock: Clock, took: float = 0.1) -> None:
        """A request and its answer, which AWS dates halfway."""
        sent = clock.sending()
        self.elapsed += took / 2
        date = formatdate(self.aws, usegmt=True)
        self.elapsed += took / 2
        clock.learn(date, sent)


def test_until_aws_has_answered_the_machines_clock_has_to_do() -> None:
    world = World(skew=240)
    clock = world.clock()
    assert not clock.known
    assert clock.now() == clock.earliest() == world.aws + 240


@given(
    st.floats(-(10.0**8), 10.0**8),
    st.lists(st.tuples(st.floats(0, 5), st.floats(0, 1000)), min_size=1, max_size=30),
)
def test_a_window_never_ends_later_than_awss_clock_and_at_most_a_second_and_an_answer_before_it(
    skew: float, answers: list[tuple[float, float]]
) -> None:
    world = World(skew=skew)
    clock = world.clock()
    for took, pause in answers:
        world.answer(clock, took)
        assert clock.known
        assert clock.earliest() <= world.aws + 1e-3
        assert clock.earliest() >= world.aws - 1 - took - 1e-3
        world.elapsed += pause
        assert clock.earliest() <= world.aws + 1e-3


def test_steps_of_the_machines_clock_change_nothing() -> None:
    world = World()
    clock = world.clock()
    world.answer(clock)
    before = clock.earliest() - world.aws
    for skew in (240, -240, 7200, -7200, 90 * 86_400):
        world.skew = skew
        assert clock.earliest() - world.aws == before
        assert abs(clock.now() - world.aws) <= 1.2


def test_a_machines_clock_that_agrees_with_aws_is_believed_to_the_millisecond() -> None:
    world = World(skew=0.05)
    clock = world.clock()
    world.answer(clock)
    assert clock.now() == world.aws + 0.05


@given(st.floats(-(10.0**7), 10.0**7), st.booleans())
def test_dates_that_no_accepted_signature_confirms_change_little(
    off: float, accepted: bool
) -> None:
    world = World()
    clock = world.clock()
    world.answer(clock)
    clock.learn(formatdate(world.aws + off, usegmt=True), clock.sending(), accepted=accepted)
    most = 900 if accepted else 0
    assert abs(clock.earliest() - world.aws) <= most + 1.2
    world.answer(clock)
    assert clock.earliest() <= world.aws + 1.2  # a date off by a second contradicts nothing


def test_a_first_answer_with_a_wrong_date_is_put_right_by_an_accepted_one() -> None:
    world = World()
    clock = world.clock()
    clock.learn(formatdate(world.aws + 7200, usegmt=True), clock.sending(), accepted=False)
    assert clock.earliest() > world.aws + 7000
    world.answer(clock)
    assert clock.earliest() <= world.aws


def test_a_date_that_is_none_is_left_out() -> None:
    world = World()
    clock = world.clock()
    for date in ("", "now", "Thu, 99 Nov 2026 14:00:00 GMT", "Thu, 01 Jan 99999 00:00:00 GMT"):
        clock.learn(date, clock.sending())
    assert not clock.known
