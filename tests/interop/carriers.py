"""What carries a group's messages from one member to another: memory, or the delivery service with its inboxes and its
register of commits.

Beside it go what the service has no place for: PSKs, trees that a scenario leaves out of a Welcome, and GroupInfos.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from roomkey.host.interface import Host

from tests.interop.accounts import Account, RoomkeyAccount, TsMlsAccount
from tests.interop.members import Member
from tests.interop.roomkey_member import RoomkeyMember
from tests.interop.ts_mls_member import TsMlsMember

# Who hears of a commit reads the register. Here one in so many does, and the others take the inbox's word: requests are
# what these tests spend their time on.
READERS = 3


class Carrier(Protocol):
    """Members are told apart as objects: a name may be taken again by somebody new."""

    def identity(self, name: str) -> str:
        """The identity of a new member; "" leaves the choice to the member."""

    async def created(self, by: Member) -> None:
        """Somebody has created the group."""

    async def key_package(self, member: Member, by: Member) -> bytes:
        """A fresh KeyPackage of a member as `by` gets it, an encoded MLSMessage."""

    async def order(self, by: Member, commit: bytes) -> None:
        """Makes the pending commit of a member the one of its epoch."""

    async def send(self, message: bytes, by: Member, to: Sequence[Member]) -> None: ...

    async def take(self, message: bytes, member: Member) -> bytes:
        """What was sent, as a member got it."""

    async def take_commit(self, message: bytes, member: Member) -> bytes:
        """A commit that was sent, as it stands for a member of the epoch that it ends."""


class Memory:
    """Hands over what it is given."""

    def identity(self, name: str) -> str:
        return ""

    async def created(self, by: Member) -> None: ...

    async def key_package(self, member: Member, by: Member) -> bytes:
        return await member.key_package()

    async def order(self, by: Member, commit: bytes) -> None: ...

    async def send(self, message: bytes, by: Member, to: Sequence[Member]) -> None: ...

    async def take(self, message: bytes, member: Member) -> bytes:
        return message

    async def take_commit(self, message: bytes, member: Member) -> bytes:
        return message


@dataclass
class Delivery:
    """Delivery services, each member a client of one: `home` says whose, by the first letter of a name.

    Args:
        services: addresses by domain; they enrol without codes.
        rooms: counts the rooms of one service, whose people all have other names.
    """

    host: Host
    services: Mapping[str, str]
    home: Mapping[str, str]
    room: int
    accounts: dict[int, Account] = field(default_factory=dict)
    waiting: dict[int, list[bytes]] = field(default_factory=dict)  # taken from inboxes, not asked for yet
    creators: str = ""
    people: int = 0
    commits: int = 0  # taken

    def identity(self, name: str) -> str:
        self.people += 1
        return f"{name}.{self.room}.{self.people}@{self.home[name[0]]}"

    async def created(self, by: Member) -> None:
        self.creators = self.home[by.name[0]]
        await (await self._account(by)).register()

    async def key_package(self, member: Member, by: Member) -> bytes:
        await member.key_package()
        account = await self._account(member)
        await account.publish()
        return await (await self._account(by)).claim(account.address.identity)

    async def order(self, by: Member, commit: bytes) -> None:
        assert not await (await self._account(by)).submit(commit), "another commit stands"

    async def send(self, message: bytes, by: Member, to: Sequence[Member]) -> None:
        if to:
            addresses = [(await self._account(member)).address for member in to]
            await (await self._account(by)).send(message, addresses)

    async def take(self, message: bytes, member: Member) -> bytes:
        """Whatever comes before it waits: letters are opened in another order than they were sent in."""
        account = await self._account(member)
        waiting = self.waiting.setdefault(id(member), [])
        while message not in waiting:
            waiting.append(await account.take())
        waiting.remove(message)
        return message

    async def take_commit(self, message: bytes, member: Member) -> bytes:
        """The inbox says that there is one, the register which one."""
        await self.take(message, member)
        self.commits += 1
        if self.commits % READERS:
            return message
        (stored, *_) = await (await self._account(member)).commits()
        return stored

    async def close(self) -> None:
        for account in self.accounts.values():
            await account.close()

    async def _account(self, member: Member) -> Account:
        if id(member) not in self.accounts:
            made = self._open(member)
            await made.enrol()
            self.accounts[id(member)] = made
        return self.accounts[id(member)]

    def _open(self, member: Member) -> Account:
        if isinstance(member, RoomkeyMember):
            return RoomkeyAccount(member, self.host, self.services, self.creators)
        assert isinstance(member, TsMlsMember)  # core-crypto does not export the tokens that the register asks for
        return TsMlsAccount(member, self.services, self.creators)
