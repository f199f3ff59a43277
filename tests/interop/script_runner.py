"""Plays scripts of the MLS working group's test runner between gRPC clients.

The language is that of `interop/test-runner` in github.com/mlswg/mls-implementations, so its configs can be played too.
Beyond what that runner compares, all members must agree after each step that begins an epoch: on the authenticator
that they answered, on the one that StateAuth gives, and on an exported key.

    python -m tests.interop.script_runner --client HOST:PORT [--client HOST:PORT] [--suite N] FILE.json ...
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import grpc
from roomkey_interop import interface as api

from tests.interop.grpc_client import Remote
from tests.interop.script_actions import ACTIONS
from tests.interop.script_play import Parameters, Play, ScriptFailed, Step


def actors_of(script: Sequence[Step]) -> list[str]:
    """Everybody whom a script names as somebody who acts, in their order."""
    names: dict[str, None] = {}
    for step in script:
        if step.get("actor"):
            names[step["actor"]] = None
        if step["action"] == "createGroup":
            names |= dict.fromkeys(step.get("members", []))
        names |= {step[part]: None for part in ("joiner", "signer") if part in step}
    return list(names)


def read_scripts(file: Path) -> dict[str, list[Step]]:
    """The scripts of a config by name."""
    scripts: dict[str, list[Step]] = json.loads(file.read_text())["scripts"]
    return scripts


def run(play: Play, script: Sequence[Step]) -> None:
    """Plays all steps, then frees the states. Errors: ScriptFailed."""
    try:
        for index, step in enumerate(script):
            play.outputs.append({})
            try:
                ACTIONS[step["action"]](play, step.get("actor", ""), Parameters(step))
            except (grpc.RpcError, ScriptFailed) as error:
                said = f"{error.code().name}: {error.details()}" if isinstance(error, grpc.Call) else str(error)
                raise ScriptFailed(f"step {index}, {step['action']}: {said}") from error
    except ScriptFailed:
        with contextlib.suppress(grpc.RpcError):  # what failed may have freed it
            _free(play)
        raise
    _free(play)


def _free(play: Play) -> None:
    for actor, state in play.states.items():
        play.ask(actor, "Free", api.StateRequest(state))


class Result(NamedTuple):
    """How one script went with one cast. `failure` is None where it went well."""

    script: str
    suite: int
    encrypt: bool
    cast: str
    failure: str | None


def run_all(
    remotes: Sequence[Remote], scripts: Mapping[str, Sequence[Step]], suites: Sequence[int]
) -> Iterator[Result]:
    """Each script with each suite, both kinds of handshake, and each assignment of actors to clients that can."""
    for (name, script), suite, encrypt in itertools.product(scripts.items(), suites, (False, True)):
        actors = actors_of(script)
        able = [remote for remote in remotes if suite in remote.suites]
        for cast in itertools.product(able, repeat=len(actors)):
            shown = " ".join(f"{actor}={remote.name}" for actor, remote in zip(actors, cast, strict=True))
            failure: str | None = None
            try:
                run(Play(suite, encrypt, dict(zip(actors, cast, strict=True))), script)
            except ScriptFailed as error:
                failure = str(error)
            yield Result(name, suite, encrypt, shown, failure)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser("script_runner", description="Plays scripts between gRPC clients.")
    parser.add_argument("--client", action="append", required=True, metavar="HOST:PORT")
    parser.add_argument("--suite", action="append", type=int, metavar="N", help="default: all that any client has")
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE.json")
    options = parser.parse_args(arguments)
    missing = [str(file) for file in options.files if not file.is_file()]
    if missing:
        parser.error(f"no file {', '.join(missing)}")
    remotes = []
    for address in options.client:
        try:
            remotes.append(Remote(address))
        except grpc.RpcError as error:
            print(f"script_runner: no client answers at {address}: {error.details()}", file=sys.stderr)
            return 1
    suites = options.suite or sorted({suite for remote in remotes for suite in remote.suites})
    failed = 0
    for file in options.files:
        for name, script in read_scripts(file).items():
            results = list(run_all(remotes, {name: script}, suites))
            failures = [result for result in results if result.failure is not None]
            failed += len(failures)
            print(f"{file.stem}/{name}: {len(results) - len(failures)} of {len(results)}")
            for result in failures:
                print(f"    suite {result.suite}, encrypt {result.encrypt}, {result.cast}: {result.failure}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
