"""No worker process outlives the main one."""

from __future__ import annotations

import os
import select
import subprocess
import sys

from tests.support.tools import ROOT

MAIN = """
import sys
from exporter.clock import Clock
from exporter.rules import RuleSet
from exporter.workers.pool import Workers

if __name__ == "__main__":
    workers = Workers(2, rules=lambda: RuleSet({}), observer=None, clock=Clock())
    print(*[workers.borrow(wait=True).process.pid for _ in range(2)], flush=True)
    sys.stdin.read()
"""


def test_workers_end_when_the_main_process_is_killed() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", MAIN], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as main:
        assert main.stdout is not None
        workers = [os.pidfd_open(int(pid)) for pid in main.stdout.readline().split()]
        main.kill()
    assert len(workers) == 2
    for worker in workers:
        select.select([worker], [], [])
        os.close(worker)
