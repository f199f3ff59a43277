"""`roomkey-delivery verify-evidence` and `roomkey-delivery evidence`, as people call them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from roomkey_delivery.cli import main

from tests.support.audited_log import leaf, make_key
from tests.support.auditing import Audit


@pytest.fixture
async def caught(tmp_path: Path) -> Audit:
    """An auditor that has seen two truths; its service is stopped."""
    audit = await Audit.make(tmp_path)
    audit.log.append(leaf(1))
    other = audit.log.fork()
    audit.log.append(leaf(2))
    other.append(leaf(3))
    await audit.ask(audit.log, 0)
    await audit.ask(other, 2)
    await audit.stop()
    return audit


async def run(arguments: list[str]) -> int:
    return await asyncio.to_thread(main, arguments)


async def test_evidence_goes_from_an_auditor_to_whoever_checks_it(
    caught: Audit, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await run(["evidence", "--db", str(caught.folder / "email1.example.db")]) == 0
    printed = capsys.readouterr()
    assert "two roots of size 2" in printed.err
    file = tmp_path / "evidence.txt"
    file.write_text(printed.out)
    assert await run(["verify-evidence", str(file)]) == 0
    told = capsys.readouterr().out
    assert "email2.example/roomkey showed two truths" in told
    assert caught.log.key.encode() in told
    assert await run(["verify-evidence", str(file), "--log", caught.log.key.encode()]) == 0
    other, _ = await make_key(caught.log.key.name)
    capsys.readouterr()
    assert await run(["verify-evidence", str(file), "--log", other.encode()]) == 1
    assert "wrong-log" in capsys.readouterr().err
    root, _, _ = told.partition("root ")[2].partition("\n")
    file.write_text(printed.out.replace(root, root[::-1]))
    assert await run(["verify-evidence", str(file)]) == 1
    assert "showed" not in capsys.readouterr().out


def test_what_cannot_be_read_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for data, code in (
        (b"", "malformed"),
        (b"\xff", "malformed"),
        (bytes(200_000), "too-large"),
        (None, "bad-argument"),
    ):
        file = tmp_path / "file"
        file.unlink(missing_ok=True)
        if data is not None:
            file.write_bytes(data)
        assert main(["verify-evidence", str(file)]) == 1
        assert capsys.readouterr().err.startswith(code)
    assert main(["evidence", "--db", str(tmp_path / "none.db")]) == 1
    assert not (tmp_path / "none.db").exists()
