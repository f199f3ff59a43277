"""Our clients, in processes of their own, play scripts of the working group's test runner with each other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from roomkey.crypto.suites import SUITES
from roomkey_interop.interface import RPCS

from tests.interop.grpc_client import Remote, served
from tests.interop.script_actions import ACTIONS
from tests.interop.script_play import Play, ScriptFailed
from tests.interop.script_runner import actors_of, read_scripts, run

SCRIPTS = {
    f"{file.stem}/{name}": script
    for file in sorted((Path(__file__).parent / "scripts").glob("*.json"))
    for name, script in read_scripts(file).items()
}


@pytest.fixture(scope="module")
def remotes() -> Iterator[list[Remote]]:
    """Three clients of ours."""
    with served() as one, served() as two, served() as three:
        remotes = [Remote(address) for address in (one, two, three)]
        yield remotes
        for remote in remotes:
            remote.close()


def test_the_scripts_play_every_action() -> None:
    assert {step["action"] for script in SCRIPTS.values() for step in script} == set(ACTIONS)


@pytest.mark.parametrize("encrypt", [False, True], ids=["public", "private"])
@pytest.mark.parametrize("suite", SUITES)
def test_scripts(remotes: list[Remote], suite: int, encrypt: bool) -> None:
    """All scripts, their actors dealt out to three clients; together they make every call of the interface."""
    for remote in remotes:
        remote.called.clear()
    for turn, (name, script) in enumerate(SCRIPTS.items()):
        cast = {actor: remotes[(turn + seat) % len(remotes)] for seat, actor in enumerate(actors_of(script))}
        try:
            run(Play(suite, encrypt, cast), script)
        except ScriptFailed as error:
            pytest.fail(f"{name}: {error}")
    called = {rpc for remote in remotes for rpc in remote.called}
    assert called == set(RPCS) - {"Name", "SupportedCiphersuites"}


def test_clients_say_who_they_are(remotes: list[Remote]) -> None:
    for remote in remotes:
        assert remote.name == "Roomkey"
        assert remote.suites == tuple(SUITES)
