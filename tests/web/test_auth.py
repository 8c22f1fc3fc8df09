"""Basic authentication: who comes in, and what guessing costs."""

from __future__ import annotations

import asyncio
import base64
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bcrypt
import httpx
import pytest
from starlette.types import ASGIApp

from exporter.web import LiveWebConfig
from exporter.web.auth import PasswordCheck, parse_basic
from exporter.web.turns import WAITING_OF_ONE, BusyError
from tests.support.http import PLAIN_HTTP

Serve = Callable[..., Any]

PROMETHEUS = "192.0.2.1"


def hashed(password: str, cost: int = 4) -> bytes:
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(cost))


@pytest.fixture
def comparisons(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The hashes that passwords were really compared with."""
    seen: list[bytes] = []
    compare = bcrypt.checkpw

    def noted(password: bytes, against: bytes) -> bool:
        seen.append(against)
        return compare(password, against)

    monkeypatch.setattr(bcrypt, "checkpw", noted)
    return seen


@pytest.fixture
def url(serve: Serve, small_app: ASGIApp, write_web_config: Callable[..., Path]) -> str:
    """A server for alice, whose password is secret, and Zoë, whose password is pässword."""
    users = {"alice": hashed("secret").decode(), "Zoë": hashed("pässword").decode()}
    path = write_web_config(basic_auth_users=users)
    return str(serve(small_app, web_config=LiveWebConfig(path)).url)


def get(url: str, user: str, password: str) -> int:
    answer = PLAIN_HTTP.get(url, auth=httpx.BasicAuth(user, password))
    return answer.status_code


@pytest.mark.parametrize(
    "path", ["/", "/metrics", "/-/healthy", "/-/ready", "/-/reload", "/nowhere", "*"]
)
def test_no_path_is_open_without_a_password(url: str, path: str) -> None:
    with httpx.Client(trust_env=False, base_url=url) as client:
        for method in ("GET", "HEAD", "POST", "OPTIONS"):
            answer = client.request(method, path)
            assert answer.status_code == 401
            assert answer.headers["WWW-Authenticate"].startswith("Basic realm=")


@pytest.mark.parametrize(
    ("user", "password", "status"),
    [
        ("alice", "secret", 200),
        ("Zoë", "pässword", 200),
        ("alice", "Secret", 401),
        ("alice", "", 401),
        ("alice", "secret\0", 401),
        ("Alice", "secret", 401),
        ("Zoë", "secret", 401),
        ("mallory", "secret", 401),
        ("", "", 401),
    ],
)
def test_a_user_comes_in_with_the_right_password_only(
    url: str, user: str, password: str, status: int
) -> None:
    for _ in range(2):  # as computed and as remembered
        assert get(f"{url}/metrics", user, password) == status


ALICE = base64.b64encode(b"alice:secret").decode()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([f"Basic {ALICE}"], 200),
        ([f"basic   {ALICE}"], 200),
        ([f"Bearer {ALICE}"], 401),
        ([ALICE], 401),
        (["Basic"], 401),
        (["Basic !!!"], 401),
        (["Basic " + base64.b64encode(b"alice").decode()], 401),
        ([f"Basic {ALICE}", f"Basic {ALICE}"], 401),
        (["Basic \xff"], 401),
    ],
)
def test_only_one_well_formed_header_lets_in(url: str, headers: list[str], status: int) -> None:
    lines = [(b"Authorization", header.encode("latin-1")) for header in headers]
    assert PLAIN_HTTP.get(url, headers=lines).status_code == status


def test_a_password_may_hold_colons_and_any_bytes() -> None:
    header = b"Basic " + base64.b64encode(b"user:a:\xff\0:")
    assert parse_basic(header) == (b"user", b"a:\xff\0:")


def test_the_same_password_is_hashed_once(comparisons: list[bytes]) -> None:
    users = {b"alice": hashed("secret")}

    async def ask() -> list[bool]:
        check = PasswordCheck()
        together = await asyncio.gather(
            *(check.verify(users, b"alice", b"secret", PROMETHEUS) for _ in range(20))
        )
        return [*together, await check.verify(users, b"alice", b"secret", PROMETHEUS)]

    assert asyncio.run(ask()) == [True] * 21
    assert len(comparisons) == 1


def test_a_new_hash_makes_the_old_password_worth_nothing_at_once() -> None:
    async def ask() -> list[bool]:
        check = PasswordCheck()
        return [
            await check.verify({b"alice": hashed(password)}, b"alice", b"secret", PROMETHEUS)
            for password in ("secret", "changed")
        ]

    assert asyncio.run(ask()) == [True, False]


def test_an_unknown_user_costs_as_much_as_the_costliest_known_one(
    comparisons: list[bytes],
) -> None:
    users = {b"alice": hashed("a", 4), b"bob": hashed("b", 6), b"carol": hashed("c", 5)}

    async def ask() -> list[bool]:
        check = PasswordCheck()
        return [
            await check.verify(users, b"mallory", word, PROMETHEUS) for word in (b"a", b"b", b"x")
        ]

    assert asyncio.run(ask()) == [False, False, False]
    assert comparisons == [users[b"bob"]] * 3


def test_a_flood_of_guesses_does_not_forget_who_is_known(comparisons: list[bytes]) -> None:
    users = {b"alice": hashed("secret")}

    async def ask() -> bool:
        check = PasswordCheck()
        await check.verify(users, b"alice", b"secret", PROMETHEUS)
        for guess in range(1100):
            assert not await check.verify(users, b"alice", b"%d" % guess, PROMETHEUS)
        comparisons.clear()
        return await check.verify(users, b"alice", b"secret", PROMETHEUS)

    assert asyncio.run(ask())
    assert comparisons == []


def test_past_a_limit_guesses_are_turned_away_unheard_and_who_is_known_comes_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    users = {b"alice": hashed("secret")}
    go_on = threading.Event()
    compare = bcrypt.checkpw

    def slow(password: bytes, against: bytes) -> bool:
        go_on.wait(10)
        return compare(password, against)

    async def ask() -> tuple[bool, list[bool | BaseException]]:
        check = PasswordCheck()
        await check.verify(users, b"alice", b"secret", PROMETHEUS)
        monkeypatch.setattr(bcrypt, "checkpw", slow)
        guesses = [
            asyncio.ensure_future(check.verify(users, b"alice", b"%d" % guess, PROMETHEUS))
            for guess in range(1 + WAITING_OF_ONE + 6)
        ]
        await asyncio.wait(guesses, return_when=asyncio.FIRST_EXCEPTION)
        known = await check.verify(users, b"alice", b"secret", PROMETHEUS)
        go_on.set()
        return known, await asyncio.gather(*guesses, return_exceptions=True)

    known, guesses = asyncio.run(ask())
    assert known
    turned_away = [guess for guess in guesses if isinstance(guess, BusyError)]
    assert len(turned_away) == 6
    assert guesses.count(False) == 1 + WAITING_OF_ONE


def test_bcrypt_looks_at_72_bytes_as_everywhere() -> None:
    users = {b"alice": hashed("p" * 72)}

    async def ask() -> list[bool]:
        check = PasswordCheck()
        return [
            await check.verify(users, b"alice", b"p" * count, PROMETHEUS) for count in (71, 72, 100)
        ]

    assert asyncio.run(ask()) == [False, True, True]


@pytest.mark.parametrize("prefix", [b"$2a$", b"$2b$", b"$2y$"])
def test_hashes_of_every_tool_are_understood(prefix: bytes) -> None:
    users = {b"alice": prefix + hashed("secret")[4:]}

    async def ask() -> bool:
        return await PasswordCheck().verify(users, b"alice", b"secret", PROMETHEUS)

    assert asyncio.run(ask())
