"""`roomkey`: end-to-end encrypted mail between people of different delivery services.

roomkey enrol NAME --service URL     makes an identity; its one-time code comes by ROOMKEY_CODE, a file or a prompt
roomkey write NAME... [--text TEXT]  writes to people; what cannot go now goes at the next run
roomkey read [--follow]              prints what came
roomkey people                       who is known, and how; conversations, invitations
roomkey digits [NAME...]             the digits that people of a conversation compare by voice
roomkey devices                      this name's devices, and the fingerprint that others compare
roomkey prepare-device NAME --to F   on a further device; then admit-device F on an older one, and enrol --admitted
roomkey admit-device FILE            makes that device one of ours, after comparing its id
roomkey remove-device ID             takes a device off, at once and for good
roomkey recovery-key                 shows, once, the key that brings a name back without its devices
roomkey accept-reset NAME            agrees that somebody began anew, after comparing fingerprints
roomkey forget NAME                  drops what we hold of somebody's keys, when they have said that they changed
roomkey srtp-keys NAME... --fd N     keys of their calls' media, for players; to a descriptor, never to a terminal
roomkey evidence [--to FOLDER]       what proves that a log lied; --check FILE looks at somebody else's
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from roomkey.errors import RoomkeyError

from roomkey_cli import commands, key_commands, media_commands, screen
from roomkey_cli.settings import NAME, default_folder
from roomkey_cli.words import DONE, FAULT, REFUSED, Trouble, sentence, status_of

Command = Callable[[argparse.Namespace], Coroutine[Any, Any, int]]
INTERRUPTED = 130  # as shells say it


def main(arguments: list[str] | None = None) -> int:
    """Runs one command; returns the exit status (`words`)."""
    options = _parser().parse_args(arguments)
    command: Command = options.run
    faults: list[str] = []

    async def run() -> int:
        def fault(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
            faults.append(type(context.get("exception")).__name__)

        asyncio.get_running_loop().set_exception_handler(fault)
        return await command(options)

    try:
        status = asyncio.run(run())
    except Trouble as trouble:
        screen.say(str(trouble))
        status = trouble.status
    except RoomkeyError as error:
        screen.say(sentence(error))
        status = status_of(error)
    except KeyboardInterrupt:
        return DONE if getattr(options, "follow", False) else INTERRUPTED
    except BrokenPipeError:  # whoever read our output has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return REFUSED
    except Exception as error:
        if os.environ.get("ROOMKEY_DEBUG"):
            raise
        faults.append(type(error).__name__)
        status = FAULT
    for name in dict.fromkeys(faults):
        screen.say(f"something went wrong inside roomkey ({name}); ROOMKEY_DEBUG=1 shows where")
    return FAULT if faults else status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("roomkey", description="End-to-end encrypted mail between delivery services.")
    parser.add_argument(
        "--folder", type=Path, default=default_folder(),
        help=f"where identities and {NAME} are (default: $ROOMKEY_FOLDER, else ~/.roomkey)",
    )  # fmt: skip
    parser.add_argument("--as", dest="identity", metavar="NAME", help="which identity, where the folder has several")
    commands_ = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Command, text: str) -> argparse.ArgumentParser:
        made = commands_.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        made.set_defaults(run=run)
        return made

    enrol = command("enrol", commands.enrol, "make an identity and bind it to your name")
    enrol.add_argument("name", help="such as alice@email1.example")
    enrol.add_argument(
        "--service", action="append", default=[], metavar="URL",
        help="a delivery service, which is asked for the people of its domain: your own, and others'; repeatable",
    )  # fmt: skip
    enrol.add_argument(
        "--code-file", type=Path, metavar="FILE",
        help="the one-time code of your service's operator; - reads it from the standard input. Without, it comes from "
        "$ROOMKEY_CODE or is asked for",
    )  # fmt: skip

    enrol.add_argument(
        "--recovery", type=Path, metavar="FILE",
        help="the recovery key, in place of a code: the name is yours again, all older devices are off; - reads it",
    )  # fmt: skip
    enrol.add_argument(
        "--admitted", action="store_true", help="this device was prepared here and admitted by an older one: no code",
    )  # fmt: skip
    enrol.add_argument(
        "--reset", action="store_true",
        help="begin anew under a name that has keys, by a code for that; everybody you know is shown it",
    )  # fmt: skip

    write = command("write", commands.write, "write to people; what cannot go now goes at the next run")
    write.add_argument("names", nargs="*", metavar="NAME", help="such as bob@email2.example")
    write.add_argument("--text", help="what to say; without, it is read from the standard input")
    write.add_argument("--conversation", default="", metavar="TITLE", help="one of several with the same people")

    read = command("read", commands.read, "print what came, and send what waits here")
    read.add_argument("--follow", action="store_true", help="go on until interrupted")
    read.add_argument("--all", action="store_true", help="also what was shown before, and what you wrote")
    read.add_argument(
        "--accept", action="append", default=[], metavar="NAME", help="take part in what this person invites you to"
    )

    command("people", commands.people, "list who is known and how, conversations and invitations")

    digits = command("digits", commands.digits, "show the digits that people of a conversation compare by voice")
    digits.add_argument("names", nargs="*", metavar="NAME")
    digits.add_argument("--conversation", default="", metavar="TITLE")

    command("devices", key_commands.devices, "list the devices of your name, with the fingerprint that others compare")

    prepare = command("prepare-device", key_commands.prepare, "make the keys of a further device of a name, here")
    prepare.add_argument("name")
    prepare.add_argument("--to", type=Path, required=True, metavar="FILE", help="for admit-device on an older device")

    admit = command("admit-device", key_commands.admit, "make a prepared device one of yours")
    admit.add_argument("file", type=Path, help="what prepare-device wrote there")
    admit.add_argument("--id", help="the id that it showed there; without, you are shown ours and asked")

    remove = command("remove-device", key_commands.remove, "take another device of yours off, at once and for good")
    remove.add_argument("id", help="as roomkey devices shows it; its first digits do")

    command(
        "recovery-key", key_commands.recovery_key, "show, once, the key that brings your name back without this device"
    )

    reset = command("accept-reset", key_commands.accept_reset, "agree that somebody began anew, with other keys")
    reset.add_argument("name")
    reset.add_argument("--fingerprint", help="what they read out; without, you are shown ours and asked")

    forget = command("forget", key_commands.forget, "drop somebody's keys, when they have told you that they changed")
    forget.add_argument("name")

    keys = command("srtp-keys", media_commands.srtp_keys, "hand a conversation's SRTP keys to a player or a recorder")
    keys.add_argument("names", nargs="*", metavar="NAME")
    keys.add_argument("--conversation", default="", metavar="TITLE")
    keys.add_argument(
        "--fd",
        type=int,
        required=True,
        metavar="N",
        help="the descriptor that gets them: a pipe or a file, no terminal",
    )
    keys.add_argument("--profile", choices=media_commands.SUITES, default=media_commands.DEFAULT_PROFILE)
    keys.add_argument("--of", metavar="NAME", help="this sender's alone")
    keys.add_argument("--sdp", type=int, metavar="PORT", help="as a session description of a stream to this UDP port")
    keys.add_argument("--codec", choices=media_commands.CODECS, default="VP8", help="of that stream")
    keys.add_argument("--payload-type", type=int, default=96, help="of that stream's packets")

    evidence = command("evidence", key_commands.evidence, "show what proves that a log of keys lied")
    evidence.add_argument("--to", type=Path, metavar="FOLDER", help="write the proofs there, for you to hand on")
    evidence.add_argument("--check", type=Path, metavar="FILE", help="whether a file of somebody else's proves it")
    return parser
