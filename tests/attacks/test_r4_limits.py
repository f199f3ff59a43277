"""What one request, one client or one audited log may cost a service."""

from __future__ import annotations

import os
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.logged_services import LoggedLocals
from tests.support.services import DOMAINS


@pytest.fixture
async def logs(tmp_path: Path) -> AsyncIterator[LoggedLocals]:
    made = LoggedLocals(tmp_path)
    assert await made.advance()
    yield made
    await made.close()


@pytest.mark.parametrize("level", ["0", "1", "63", "entries"])
@pytest.mark.parametrize(
    "place", ["x999/x999/x999/x999/x999/x999/999", "x036/x028/x797/x018/x963/968", "x009/x223/x372/x036/x854/x775/808"]
)
async def test_a_place_that_no_tree_has_is_not_there(logs: LoggedLocals, level: str, place: str) -> None:
    """Numbers beyond what the database can say were a fault of ours."""
    for width in ("", ".p/1"):
        answer = await logs.at[DOMAINS[0]].bare.get(f"/v1/log/tile/{level}/{place}{width}")
        assert answer.status_code == 404


def test_what_a_service_keeps_is_its_operators_alone(tmp_path: Path) -> None:
    """Names, who writes to whom and when, and the openings of the log: whatever the umask is."""
    before = os.umask(0)
    try:
        LoggedLocals(tmp_path)
    finally:
        os.umask(before)
    kept = [file for file in tmp_path.iterdir() if file.name.endswith((".db", "-wal", "-shm"))]
    assert len(kept) == 6
    assert {stat.S_IMODE(file.stat().st_mode) for file in kept} == {0o600}
