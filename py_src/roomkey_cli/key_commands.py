"""The commands about whose keys are whose: devices, recovery, those who began anew, logs that lie."""

from __future__ import annotations

import argparse
import hmac
import sys
from pathlib import Path

from roomkey.client.opening import prepare_device
from roomkey.client.recovery_text import recovery_text
from roomkey.errors import RoomkeyError
from roomkey.host.native import NativeHost
from roomkey.host.native_crypto import NativeCrypto
from roomkey.transparency.devices import DeviceRequest
from roomkey.transparency.evidence import ForkEvidence, verify_evidence

from roomkey_cli import screen
from roomkey_cli.person import name_of, opened, person_of
from roomkey_cli.words import DONE, REFUSED, USAGE, Trouble, shown

# Of a device's id, as hex: enough to tell one person's devices apart.
MIN_ID = 8
MAX_FILE = 1 << 20  # bytes; what is read from a file here is far smaller


async def devices(options: argparse.Namespace) -> int:
    async with person_of(options) as person, opened(person) as mailbox:
        await mailbox.catch_up()
        own = mailbox.client.manifest_hash
        unlisted = "in no log of keys" if own is None else "not in the log of keys yet"
        for device in mailbox.client.devices():
            which = "this device" if device.own else "another device"
            listed = "listed in the log of keys" if device.logged else unlisted
            screen.write(f"{device.client_id.hex()}  {which}, {listed}")
        if own is not None:
            screen.write(f"for people who ask whether you began anew: {_fingerprint(own)}")
        return mailbox.status


async def prepare(options: argparse.Namespace) -> int:
    identity = name_of(options.name)
    host = NativeHost(options.folder)
    try:
        request = await prepare_device(host, identity)
    finally:
        await host.close()
    _write(options.to, request)
    screen.write(f"{DeviceRequest.decode(request).client_id.hex()}  this device")
    screen.say(f"on a device that you have, run: roomkey admit-device {options.to}")
    screen.say(f"then here: roomkey enrol {identity} --admitted --service URL")
    return DONE


async def admit(options: argparse.Namespace) -> int:
    """Consent is to one device: the one whose id was compared. The file may have been changed on its way here."""
    request = _read(options.file)
    asking = DeviceRequest.decode(request).client_id.hex()
    if options.id is None:
        screen.say("who has this device reads and writes as you; look at what roomkey prepare-device showed there:")
        screen.say(f"    {asking}")
        if not sys.stdin.isatty():
            raise Trouble("give the id that was shown there by --id", USAGE)
        if not screen.ask("is it the same?"):
            return REFUSED
    elif not hmac.compare_digest(_plain(options.id), asking.encode()):
        raise Trouble("that is not the id of the device that this file is of: do not admit it")
    async with person_of(options) as person, opened(person) as mailbox:
        await mailbox.catch_up()
        client = await mailbox.client.admit_device(request)
        screen.write(f"{client.hex()} is yours, too")
        screen.say("as soon as the log and its auditors show it, where there is one")
        return mailbox.status


async def remove(options: argparse.Namespace) -> int:
    wanted = options.id.lower()
    async with person_of(options) as person, opened(person) as mailbox:
        await mailbox.catch_up()
        found = [item.client_id for item in mailbox.client.devices() if item.client_id.hex().startswith(wanted)]
        if len(wanted) < MIN_ID or len(found) != 1:
            raise Trouble(f"name one device by its id, or at least its first {MIN_ID} digits: roomkey devices", USAGE)
        await mailbox.client.remove_device(found[0])
        return mailbox.status


async def recovery_key(options: argparse.Namespace) -> int:
    async with person_of(options) as person, opened(person) as mailbox:
        screen.write(recovery_text(await mailbox.client.recovery_key()))
        await mailbox.client.forget_recovery_key()  # it is out: a write that fails ends here, with the key still kept
        screen.say("keep it on paper, away from this device; it is not shown again")
    return DONE


async def forget(options: argparse.Namespace) -> int:
    whom = name_of(options.name)
    async with person_of(options) as person, opened(person) as mailbox:
        await mailbox.client.forget_contact(whom)
    return DONE


async def accept_reset(options: argparse.Namespace) -> int:
    """Consent is to one manifest: the one whose fingerprint was compared."""
    whom = name_of(options.name)
    async with person_of(options) as person, opened(person) as mailbox:
        await mailbox.catch_up()
        waiting = (await mailbox.client.waiting_resets()).get(whom)
        if waiting is None:
            raise Trouble(f"{whom} did not begin anew, as far as is known here; write to them, or read, first")
        fingerprint = waiting.manifest.hash()
        if options.fingerprint is None:
            if waiting.version == 0:
                screen.say(
                    f"the keys of {whom} changed so often that no way leads from those known here to the newest;"
                )
                screen.say("whether they began anew, nobody but they can tell")
            else:
                screen.say(f"{whom} began anew: none of the keys known here vouches for the new ones")
            screen.say("ask them by voice, or face to face, to run roomkey devices, and compare:")
            screen.say(f"    {_fingerprint(fingerprint)}")
            if not sys.stdin.isatty():
                raise Trouble("give the fingerprint that they read out by --fingerprint", USAGE)
            if not screen.ask("is theirs the same?"):
                return REFUSED
        elif not hmac.compare_digest(_plain(options.fingerprint), fingerprint.hex().encode()):
            raise Trouble(f"that is not the fingerprint of the keys that wait here: do not take them for {whom}'s")
        await mailbox.client.accept_reset(whom, fingerprint)
        await mailbox.catch_up()
        return mailbox.status


async def evidence(options: argparse.Namespace) -> int:
    """What was kept of logs that lied; or whether a file that somebody handed over proves that one did."""
    if options.check is not None:
        return await _check(options.check)
    async with person_of(options) as person, opened(person) as mailbox:
        found = await mailbox.client.fork_evidence()
        if options.to is not None:
            for number, item in enumerate(found, 1):
                path = options.to / f"evidence-{number}.txt"
                _write(path, item.text.encode())
                screen.write(f"{shown(item.origin)}  {path}")
        else:
            for item in found:
                screen.write(f"{shown(item.origin)} showed two truths")
        if not found:
            screen.say("no log was seen to show two truths")
        elif options.to is None:
            screen.say("roomkey evidence --to FOLDER writes what proves it, for you to hand on")
    return DONE


async def _check(path: Path) -> int:
    try:
        text = _read(path).decode("utf-8")
        truths = await verify_evidence(NativeCrypto(), ForkEvidence.decode(text))
    except UnicodeDecodeError:
        raise Trouble(f"{path} is no evidence: it is not UTF-8") from None
    except RoomkeyError as error:
        raise Trouble(f"{path} proves nothing ({error.code})") from error
    screen.write(f"the log with this key signed two truths of size {truths.first.size}: {truths.log.encode()}")
    screen.say("compare the key with the one in your settings, or with what the log's operator publishes")
    return DONE


def _fingerprint(value: bytes) -> str:
    plain = value.hex()
    return " ".join(plain[start : start + 4] for start in range(0, len(plain), 4))


def _plain(typed: str) -> bytes:
    return "".join(typed.split()).lower().encode()


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_FILE)
    except OSError as error:
        raise Trouble(f"{path} cannot be read: {error.strerror}", USAGE) from error


def _write(path: Path, data: bytes) -> None:
    """A new file; an older one of this name stays as it is."""
    try:
        with path.open("xb") as file:
            file.write(data)
    except OSError as error:
        raise Trouble(f"{path} cannot be written: {error.strerror}", USAGE) from error
