"""What befalls the exporter's process, its machine and its files: a function each.

Each leaves the exporter running, with the right time, configuration and account. The moments are
what they are about, so these pauses are random and wait for nothing.
"""

from __future__ import annotations

import random
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from exporter.ledger.storage import LEDGER_FILE
from metric_filter_demo.faults import Faults
from tests.support.chaos.configuration import ACCOUNTS, LOG_REGION, LOOKBACK, write_configuration
from tests.support.chaos.credentials import Credentials
from tests.support.iam import RecordingAws
from tests.support.processes import Exporter
from tests.support.waiting import wait_for
from tests.support.wall_clock import WallClock

ACCEPTED = 240.0
"""Seconds that a clock may be off without AWS refusing its signatures."""
REFUSED = 7200.0


@dataclass(frozen=True)
class Scene:
    """The exporter, and everything that it depends on."""

    exporter: Exporter
    aws: RecordingAws
    clock: WallClock
    credentials: Credentials
    configuration: Path
    storage: Path
    chance: random.Random

    def pause(self, least: float, most: float) -> None:
        """Let a random time pass."""
        time.sleep(self.chance.uniform(least, most))

    def second(self) -> Exporter:
        """Another process on the same ledger, not started."""
        environment = self.credentials.environment()
        return Exporter(self.configuration, self.storage, environment=environment)

    def start(self) -> None:
        """Start the exporter again."""
        self.exporter.start()
        self.exporter.wait_until_listening()

    def restart(self) -> None:
        """End the exporter, hard or soft, and start it again."""
        self.chance.choice([killed, terminated])(self)


Trouble = Callable[[Scene], None]


def killed(scene: Scene) -> None:
    """SIGKILL."""
    scene.exporter.kill()
    scene.start()


def terminated(scene: Scene) -> None:
    """SIGTERM."""
    assert scene.exporter.terminate() == 0
    scene.start()


def frozen(scene: Scene) -> None:
    """SIGSTOP and, some seconds later, SIGCONT."""
    scene.exporter.signal(signal.SIGSTOP)
    scene.pause(0.5, 4)
    scene.exporter.signal(signal.SIGCONT)


def reloaded_unchanged(scene: Scene) -> None:
    """A reload of the same file, by HTTP and by SIGHUP."""
    assert scene.exporter.reload().is_success
    scene.exporter.signal(signal.SIGHUP)


def reloaded_changed(scene: Scene) -> None:
    """Another interval and lookback, and back."""
    write_configuration(scene.configuration, interval=2, lookback=LOOKBACK + 5)
    assert scene.exporter.reload().is_success
    scene.pause(1, 4)
    write_configuration(scene.configuration)
    assert scene.exporter.reload().is_success


def clock_stepped(scene: Scene) -> None:
    """The wall clock steps by minutes, then by hours, and back."""
    for seconds in scene.chance.sample([ACCEPTED, -ACCEPTED, REFUSED, -REFUSED], 2):
        scene.clock.shift(seconds)
        scene.pause(1.5, 4)
    scene.clock.shift(0)


def restarted_with_a_wrong_clock(scene: Scene) -> None:
    """A restart while the clock is wrong, which only then becomes right."""
    scene.clock.shift(scene.chance.choice([ACCEPTED, -ACCEPTED, REFUSED, -REFUSED]))
    scene.pause(0.5, 2)
    scene.restart()
    scene.pause(1, 3)
    scene.clock.shift(0)


def stopped_for_a_while(scene: Scene) -> None:
    """A stop, and calls refused while the backlog is read."""
    assert scene.exporter.terminate() == 0
    scene.pause(3, 8)
    before = scene.aws.faults
    scene.aws.faults = Faults(
        refuse=0.3,
        page_size=(1, 5),
        seed=before.seed,
        operations=["LookupEvents", "FilterLogEvents"],
    )
    scene.start()
    scene.pause(3, 5)
    scene.aws.faults = before


def denied(scene: Scene) -> None:
    """A region that is denied for some seconds."""
    before = scene.aws.faults
    scene.aws.faults = Faults(denied={LOG_REGION: ["*"]})
    scene.pause(1, 5)
    scene.aws.faults = before


def unreachable(scene: Scene) -> None:
    """No AWS for some seconds."""
    scene.aws.stop()
    scene.pause(1, 4)
    scene.aws.start()


def account_switched(scene: Scene) -> None:
    """The credentials become another account's, and go back."""
    scene.credentials.use(ACCOUNTS[1])
    scene.pause(2, 6)
    if scene.chance.random() < 0.3:
        scene.restart()
    scene.credentials.use(ACCOUNTS[0])


def wal_removed(scene: Scene) -> None:
    """The ledger's write-ahead log is removed while the process has it open."""
    _remove(scene, scene.storage / f"{LEDGER_FILE}-wal")


def folder_removed(scene: Scene) -> None:
    """The whole storage folder is removed under the process."""
    _remove(scene, scene.storage)


def lock_removed(scene: Scene) -> None:
    """A cleaner removes the lock file; a second process is refused all the same."""
    (scene.storage / "ledger.lock").unlink(missing_ok=True)
    second = scene.second()
    with second:
        wait_for("a second process to be refused", lambda: not second.running, timeout=20)


def _remove(scene: Scene, path: Path) -> None:
    """Remove a path, and wait until what is open can be found again, or the process has ended."""
    scene.pause(0, 1)
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    wait_for(
        f"{path.name} to be missed and the ledger to be saved",
        lambda: not scene.exporter.running or _found_again(scene),
        timeout=20,
    )
    if not scene.exporter.running:
        scene.start()
    else:
        scene.restart()


def _found_again(scene: Scene) -> bool:
    """Whether the process has the ledger open, and none of its files is a removed one."""
    opened = [
        str(link.readlink())
        for link in Path(f"/proc/{scene.exporter.pid}/fd").iterdir()
        if link.is_symlink()
    ]
    kept = [path for path in opened if path.startswith(str(scene.storage))]
    ledger = str(scene.storage / LEDGER_FILE)
    return ledger in kept and not any(path.endswith("(deleted)") for path in kept)


TROUBLES: tuple[Trouble, ...] = (
    killed,
    terminated,
    frozen,
    reloaded_unchanged,
    reloaded_changed,
    clock_stepped,
    restarted_with_a_wrong_clock,
    stopped_for_a_while,
    denied,
    unreachable,
    account_switched,
    wal_removed,
    folder_removed,
    lock_removed,
)
