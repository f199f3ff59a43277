"""Logs of services in processes of their own: killed at any time, and two on one file."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from roomkey.errors import RoomkeyError
from roomkey.federation.calls import ServiceCaller
from roomkey.host.native import NativeHost
from roomkey.transparency.exchange import ANSWERS_PATH, LOG_ANSWERS, AnswerRequest, Answers, AnswersRequest
from roomkey.transparency.verifier import Known, Proved, verify_answer

from tests.delivery.people import Person, person
from tests.delivery.processes import Running
from tests.support.logged_services import LoggedServices, logged_services
from tests.support.manifest_makers import CRYPTO, Owner
from tests.support.services import DOMAINS, free_ports

HOME = DOMAINS[0]
DEADLINE = 120.0  # seconds for what takes tenths of one


@pytest.fixture
def services(tmp_path: Path) -> Iterator[LoggedServices]:
    with logged_services(tmp_path) as made:
        yield made


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[NativeHost]:
    made = NativeHost(tmp_path / "clients")
    yield made
    await made.close()


class Member:
    """An enrolled client with a manifest; `versions` that its service has acknowledged."""

    def __init__(self, who: Person, owner: Owner) -> None:
        self.who, self.owner, self.versions = who, owner, 1

    @classmethod
    async def enrol(cls, host: NativeHost, service: Running, name: str) -> Member:
        who = await person(f"{name}@{HOME}")
        owner = await Owner.of(who)
        code = await asyncio.to_thread(service.enrolment_code, owner.identity)
        manifest = (await owner.next()).encode()
        await who.at(host, service.url).enrol(who.keys.credential, code, manifest=manifest)
        return cls(who, owner)

    async def go_on(self, host: NativeHost, service: Running) -> None:
        """The next version, told again until it is acknowledged."""
        signed = (await self.owner.next()).encode()
        while True:
            try:
                await self.who.at(host, service.url).submit_manifest(signed)
            except RoomkeyError as error:
                if error.code != "service-unreachable":
                    raise
                await asyncio.sleep(0.02)
            else:
                self.versions += 1
                return

    async def ask(self, host: NativeHost, service: Running) -> Answers:
        body = AnswersRequest(0, (AnswerRequest(self.owner.identity.encode(), 0),)).encode()
        caller = ServiceCaller(host, service.url, self.who.signer)
        return Answers.decode(await caller.call("POST", ANSWERS_PATH, body, LOG_ANSWERS, accept=LOG_ANSWERS))

    async def proved(self, host: NativeHost, service: Running, services: LoggedServices) -> int:
        """The size of the head under which the last acknowledged version is proved, as soon as it is."""
        async with asyncio.timeout(DEADLINE):
            while True:
                answers = await self.ask(host, service)
                (answer,) = answers.answers
                if answer is not None:
                    identity, trust = self.owner.identity.encode(), services.trusts[HOME]
                    outcome = await verify_answer(
                        CRYPTO, answer, identity, trust, Known(), answers.consistency, int(host.now())
                    )
                    assert isinstance(outcome, Proved)
                    if outcome.chain.manifest == self.owner.last:
                        assert outcome.chain.manifest.version == self.versions
                        return outcome.checkpoint.checkpoint.size
                await asyncio.sleep(0.05)


async def test_killed_at_any_time_no_version_is_lost_and_no_head_is_contradicted(
    services: LoggedServices, host: NativeHost
) -> None:
    service = services.at(HOME)
    members = [await Member.enrol(host, service, name) for name in ("alice", "bob")]

    async def write() -> None:
        for member in itertools.islice(itertools.cycle(members), 24):
            await member.go_on(host, service)
            await asyncio.sleep(0.03)

    writing = asyncio.create_task(write())
    for delay in (0.08, 0.13, 0.21, 0.34, 0.15):
        await asyncio.sleep(delay)
        service.kill()
        await asyncio.to_thread(service.restart)
    await writing
    for member in members:
        assert member.versions == 13
        await member.proved(host, service, services)
    assert "stopped" not in service.log()
    audited = services.running[DOMAINS[1]].log()  # the auditor saw one history, of a service that went away at times
    refusals = [line for line in audited.splitlines() if "not cosigned" in line and "service-un" not in line]
    assert not refusals
    assert "any more" not in audited


async def test_two_processes_on_one_file(services: LoggedServices, host: NativeHost) -> None:
    first = services.at(HOME)
    port = free_ports(1)[0]
    second = Running(HOME, first.database, *first.options, port=port)
    second.url, second.port = f"http://127.0.0.1:{port}", port
    try:
        members = [
            await Member.enrol(host, at, f"p{number}")
            for number, at in zip(range(4), itertools.cycle((first, second)), strict=False)
        ]

        async def write(member: Member, at: Running) -> None:
            for _ in range(5):
                await member.go_on(host, at)

        ways = [first, second, second, first]
        await asyncio.gather(*(write(member, at) for member, at in zip(members, ways, strict=True)))
        for member, at in zip(members, reversed(ways), strict=True):
            await member.proved(host, at, services)
        await members[1].go_on(host, second)
        second.kill()
        await members[1].proved(host, first, services)  # what one left behind, the other goes on with
        for service in (first, second):
            assert "stopped" not in service.log()
    finally:
        second.kill()
        second.errors.close()
