"""Attacks by files that say that a log showed two truths, which anybody may make and hand on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import roomkey_cli.cli
import roomkey_delivery.cli
from roomkey.transparency.checkpoints import Checkpoint
from roomkey.transparency.evidence import ForkEvidence
from roomkey.transparency.notes import sign_note

from tests.support.audited_log import CRYPTO, make_key

TRUE = "email2.example/roomkey"
COMMANDS: dict[str, tuple[Callable[[list[str]], int], Sequence[str]]] = {
    "roomkey": (roomkey_cli.cli.main, ("evidence", "--check")),
    "roomkey-delivery": (roomkey_delivery.cli.main, ("verify-evidence",)),
}


def forged(name: str) -> str:
    """Two truths by a key of whoever made the file, which bears this name."""

    async def make() -> ForkEvidence:
        log, pair = await make_key(name)
        texts = [Checkpoint(name, 7, bytes((fill,)) * 32).text() for fill in (1, 2)]
        return ForkEvidence(log, *[await sign_note(CRYPTO, text, log, pair) for text in texts])

    return asyncio.run(make()).encode()


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(f"{TRUE}\x9b2K\x9b1G{TRUE}", id="steers the terminal"),
        pytest.param(f"\u202e{TRUE[::-1]}", id="written backwards"),
        pytest.param(f"{TRUE}\u200b", id="a space that nobody sees"),
        pytest.param(f"{TRUE}\x7f", id="delete"),
    ],
)
def test_a_name_that_is_not_what_it_looks_like(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, name: str
) -> None:
    file, (main, arguments) = tmp_path / "evidence.txt", COMMANDS[command]
    file.write_text(forged(TRUE))
    assert main([*arguments, str(file)]) == 0
    assert TRUE in capsys.readouterr().out
    file.write_text(forged(name))
    assert main([*arguments, str(file)]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert "malformed" in said.err
    assert all(line.isprintable() for line in said.err.split("\n"))
