"""One person's client as a mailbox: conversations are conferences, found by who is in them.

Messages wait in inboxes while their people are away; what cannot be sent waits here (`waiting`). A run reads what
waited, takes up invitations by people who are known, sends what is unsent, and closes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from roomkey.client.client import Client
from roomkey.client.contacts import InitKeys
from roomkey.client.events import Appeared, Event, Invited
from roomkey.conference import records
from roomkey.conference.conference import Conference
from roomkey.conference.events import Ended, Failed
from roomkey.conference.events import Event as ConferenceEvent
from roomkey.errors import RoomkeyError

from roomkey_cli import screen
from roomkey_cli.waiting import Draft, Waiting
from roomkey_cli.words import DONE, NOT_NOW, REFUSED, Trouble, names, sentence, shown, status_of

PAGE = 1000  # messages read at a time


class Told:
    """What the client and its conversations tell; `news` is set by whatever may be worth a look."""

    def __init__(self, identity: str) -> None:
        self._identity = identity
        self.news = asyncio.Event()
        self.failed: list[RoomkeyError] = []

    def client(self, event: Event) -> None:
        """The client's listener."""
        if isinstance(event, Failed):
            self.failed.append(event.error)
        elif isinstance(event, Invited | Appeared):
            self.listen(event.conference)
            self.news.set()

    def listen(self, conference: Conference) -> None:
        """Hears a conversation, too."""

        def hear(event: ConferenceEvent) -> None:
            if isinstance(event, Ended) and event.reason != "left":
                why = "" if event.error is None else f": {sentence(event.error)}"
                screen.say(f"the conversation {screen.called(conference, self._identity)} has ended{why}")
            elif isinstance(event, Failed):
                self.failed.append(event.error)
            self.news.set()

        conference.listen(hear)

    def flush(self) -> None:
        """Says each failure once."""
        for text in dict.fromkeys(sentence(error) for error in self.failed):
            screen.say(text)
        self.failed.clear()


class Mailbox:
    """See the module. `told` hears the client that it was opened with."""

    def __init__(self, client: Client, waiting: Waiting, told: Told) -> None:
        self.client = client
        self._waiting = waiting
        self.told = told
        self.status = DONE
        self._left_alone: set[str] = set()  # invitations that wait for a word of their person
        for conference in (*client.conferences(), *client.invitations()):
            told.listen(conference)

    @property
    def identity(self) -> str:
        return self.client.identity

    # -- reading --

    async def catch_up(self) -> None:
        """Reads what waited. A service that does not answer is told, and the rest goes on."""
        try:
            await self.client.caught_up()
        except RoomkeyError as error:
            self._trouble(error)

    async def take_up(self, accepted: Sequence[str], ask: Callable[[str], bool] | None) -> None:
        """Accepts invitations: by people who are proved, by those named, and those to which the person says yes.

        Args:
            accepted: canonical names of inviters.
            ask: puts a question; None where nobody can answer, and then it is said how to.
        """
        for invitation in self.client.invitations():
            inviter = invitation.inviter
            if inviter is None:
                continue
            strange = [
                name for name in screen.others(invitation, self.identity) if not await self._known(invitation, name)
            ]
            if strange and inviter.identity not in accepted:
                if invitation.key in self._left_alone:
                    continue
                self._left_alone.add(invitation.key)
                text = f"{inviter.identity} invites you to a conversation {screen.called(invitation, self.identity)}."
                text += f" You have not met {names(strange)} before: nothing but a service vouches for their keys."
                if ask is None:
                    screen.say(f"{text} To take part: roomkey read --accept {inviter.identity}")
                    continue
                if not ask(f"{text} Take part?"):
                    continue
            try:
                await self.client.accept(invitation)
            except RoomkeyError as error:
                self._trouble(error)

    async def _known(self, invitation: Conference, name: str) -> bool:
        """Whether somebody is who they say by more than their coming."""
        proved = all(member.by == "transparency" for member in invitation.members if member.identity == name)
        return proved or await self.client.knows(name)

    def unsent(self) -> frozenset[str]:
        """The drafts that wait, by name."""
        return frozenset(name for name, _ in self._waiting.drafts())

    async def show_new(self, *, everything: bool = False) -> int:
        """Prints what others said since the last time, oldest first in each conversation; returns how much.

        Args:
            everything: also what was shown before, and what we said.
        """
        marks, count = self._waiting.read_up_to(), 0
        for conference in self.client.conferences():
            after = 0 if everything else marks.get(conference.key, 0)
            while page := await conference.history.messages(after, PAGE):
                for message in page:
                    if everything or not message.own:
                        screen.write(screen.message_line(message, conference, self.identity))
                        count += 1
                after = page[-1].seq
            if after > marks.get(conference.key, 0):
                marks[conference.key] = after
                self._waiting.mark_read(marks)
        return count

    async def unread(self, conference: Conference) -> int:
        """How many messages of others were not shown yet."""
        after, count = self._waiting.read_up_to().get(conference.key, 0), 0
        while page := await conference.history.messages(after, PAGE):
            count += sum(not message.own for message in page)
            after = page[-1].seq
        return count

    # -- writing --

    async def send_waiting(self) -> None:
        """Sends all drafts, oldest first. One that has to wait holds up those to the same people."""
        held: set[tuple[tuple[str, ...], str]] = set()
        for name, draft in list(self._waiting.drafts()):
            if (draft.to, draft.title) in held:
                continue
            try:
                await self._send(name, draft)
            except (RoomkeyError, Trouble) as error:
                status = error.status if isinstance(error, Trouble) else status_of(error)
                text = str(error) if isinstance(error, Trouble) else sentence(error)
                whom = draft.whom
                if status == REFUSED:
                    path = self._waiting.refuse(name, draft, text)
                    screen.say(f"a message to {whom} cannot be sent: {text} It was put aside as {path}")
                else:
                    held.add((draft.to, draft.title))
                    screen.say(f"a message to {whom} waits here for the next run: {text}")
                self.status = self.status or status
        if domains := await self.client.sent():
            services = names(sorted(domains))
            screen.say(f"what was written waits here for the next run, for the people of {services}")
            self.status = self.status or NOT_NOW

    async def _send(self, name: str, draft: Draft) -> None:
        data = draft.text.encode("utf-8")
        if draft.place is not None:
            for conference in self.client.conferences():
                if conference.key == draft.place[0]:
                    said = await conference.history.messages(draft.place[1], PAGE)
                    if any(message.own and message.data == data for message in said):
                        self._waiting.sent(name)  # a run ended between the sending and the note of it
                        return
        known = self.find(draft.to, draft.title) or await self._invited(draft)
        if known is not None:
            await self._add_devices(known)
        conference = known or await self._begin(draft)
        self._waiting.placed(name, draft, conference.key, await self._last(conference))
        await conference.send(data)
        self._waiting.sent(name)

    def find(self, to: tuple[str, ...], title: str) -> Conference | None:
        """The conversation with exactly these people, or the only one of a title. When both sides began one at the
        same time, everybody goes on with the same of the two. Errors: `Trouble` if a title alone does not say which.
        """
        active = [item for item in self.client.conferences() if item.status == records.ACTIVE and item.name == title]
        if not to:
            if len(active) != 1:
                raise Trouble(f"there are {len(active)} conversations called {shown(title)!r}; name the people, too")
            return active[0]
        found = [item for item in active if screen.others(item, self.identity) == list(to)]
        return min(found, key=lambda item: item.id, default=None)

    async def _last(self, conference: Conference) -> int:
        """The number of the last message, 0 if there is none."""
        last = self._waiting.read_up_to().get(conference.key, 0)
        while page := await conference.history.messages(last, PAGE):
            last = page[-1].seq
        return last

    async def _invited(self, draft: Draft) -> Conference | None:
        """Takes up the invitation to the conversation that this belongs to: who writes to people takes part."""
        for invitation in self.client.invitations():
            if invitation.name == draft.title and screen.others(invitation, self.identity) == list(draft.to):
                await self.client.accept(invitation)
                return invitation
        return None

    async def _add_devices(self, conference: Conference) -> None:
        """Brings in devices that its people have got since. Of a device that was listed and had no keys yet, the client
        asks again an hour later. What cannot be brought in is told: the message goes to those who are in.
        """
        people = await self.client.unreached(conference)
        for name in sorted((await self.client.waiting_resets()).keys() & set(screen.others(conference, self.identity))):
            screen.say(f"{name} began anew; what you write goes to the devices that were theirs before, and to the new")
            screen.say(f"ones once you agree: roomkey accept-reset {name}")
        if not people:
            return
        fetched, present = await self.client.fetch(people), {member.client for member in conference.members}
        failed = [item.error for item in fetched.missing]
        more: list[InitKeys] = []
        for keys in fetched.keys:
            if all(item.client.client_id in present for item in keys.proved.sets):
                self.client.release(keys)
            else:
                more.append(keys)
        try:
            if more:
                await self.client.invite(conference, more)
                whose = names([keys.identity for keys in more])
                screen.say(f"another device of {whose} takes part from now on")
        except RoomkeyError as error:
            failed.append(error)
            for keys in more:
                self.client.release(keys)
        for failure in failed:
            self._trouble(failure)

    async def _begin(self, draft: Draft) -> Conference:
        """A new conversation, once the keys of everybody in it are here."""
        fetched = await self.client.fetch(list(draft.to))
        try:
            if fetched.missing:
                raise fetched.missing[0].error
            conference = await self.client.create_conference(draft.title, fetched.keys)
            try:
                await self.client.invite(conference, fetched.keys)
            except RoomkeyError as error:
                if not error.details.get("pending"):  # then nobody will ever be in it
                    await conference.leave()
                raise
        except RoomkeyError:
            for keys in fetched.keys:
                self.client.release(keys)
            raise
        for keys in fetched.keys:
            if keys.proved.trust.by == "first-use":
                screen.say(f"first contact with {keys.identity}: nothing but their service vouches for their keys")
        return conference

    # -- keys for others --

    async def keep_stock(self) -> None:
        """Leaves enough keys for those who want to write to us while we are away."""
        if self.client.target:
            try:
                await self.client.publish(self.client.target)
            except RoomkeyError as error:
                self._trouble(error)

    def _trouble(self, error: RoomkeyError) -> None:
        self.told.failed.append(error)
        self.status = self.status or status_of(error)
