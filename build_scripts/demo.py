"""`python3 build_scripts demo`: two delivery services, three people, one stage; `--headless` plays and judges it."""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import socket
import sys
import time
import webbrowser
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlencode

from build_scripts import build, environment, paths
from build_scripts.browser import BrowserMissing
from build_scripts.demo_pages import DOMAINS, PEOPLE, Pages, person_origin, stage_origin
from build_scripts.demo_server import DemoError, running
from build_scripts.demo_services import Services, free_ports

FOLDER = paths.ROOMKEY / "demo"
LOOK_SECONDS = 0.5  # how often we see whether a service is still there


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python3 build_scripts demo", description=__doc__)
    parser.add_argument("--headless", action="store_true", help="plays the story in a headless browser and judges it")
    parser.add_argument("--screenshots", type=Path, metavar="DIR", help="with --headless: pictures of every step")
    parser.add_argument(
        "--player",
        type=int,
        metavar="PORT",
        help="lets people's pages send their picture as SRTP to this UDP port of this machine, and show the keys",
    )
    parser.add_argument("--no-open", action="store_true", help="prints the links and opens no browser")
    options = parser.parse_args(arguments)
    if options.player is not None and not (1024 <= options.player <= 65_534 and options.player % 2 == 0):
        parser.error("expected an even port from 1024 on: RTP has the even ones (RFC 3550 section 11)")
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        build.build()
        return run(options)
    except KeyboardInterrupt:
        print("\nroomkey: the demo has ended.")
        return 0 if not options.headless else 130
    except (DemoError, BrowserMissing, build.BuildError) as error:
        print(f"roomkey: {error}", file=sys.stderr)
        return 1


def run(options: argparse.Namespace) -> int:
    # The pages' port is a new one each time: browsers keep storage by origin, and these services start empty.
    port, *service_ports = free_ports(2 + len(DOMAINS))
    origins = [person_origin(person, port) for person in PEOPLE]
    folder = FOLDER / str(os.getpid())
    try:
        built = snapshot(folder / "dist")
        with (
            Services(folder / "services", service_ports, origins) as services,
            serving(port, services, built, options.player),
        ):
            codes = {person.name: code for person, code in services.codes.items()}
            stage = f"{stage_origin(port)}/#{urlencode(codes)}"
            if options.headless:
                from build_scripts import demo_play  # Playwright is for this alone

                return demo_play.play(stage, services.folder, options.screenshots)
            if options.player is not None:
                print(f"\nIn a call each page shows how to play its picture at UDP port {options.player}.")
            invite(stage, services, port, open_browser=not options.no_open)
            return watch(services)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def snapshot(folder: Path) -> Path:
    """A copy of what was built: a build while the demo runs would else change files that pages are still loading."""
    with environment.exclusive("build"):
        shutil.copytree(paths.DIST, folder)
    return folder


@contextlib.contextmanager
def serving(port: int, services: Services, built: Path, player: int | None = None) -> Iterator[None]:
    """Serves the pages of the build `built` from a thread while the context lasts."""
    with running(Pages(port, services.all, services.malice, built, player), port):
        yield


def invite(stage: str, services: Services, port: int, *, open_browser: bool) -> None:
    """Prints the links; with a desktop, opens the first."""
    print(f"\nThe stage, all three side by side:\n  {stage}\n\nor one person at a time, each in a tab of its own:")
    for person in PEOPLE:
        print(f"  {person_origin(person, port)}/#{services.codes[person]}")
    print("\nEach enrolment code in these links is good once.")
    print("Delivery services: " + ", ".join(f"{service.domain} at {service.url}" for service in services.all))
    if open_browser and has_desktop() and webbrowser.open(stage):
        print("The stage opens in your browser.")
    elif not has_desktop():
        ports = [port, *(int(service.url.rpartition(":")[2]) for service in services.all)]
        forward = " ".join(f"-L {one}:127.0.0.1:{one}" for one in ports)
        print("\nThere is no desktop here. Run this on a machine that has one, then open the link there:")
        print(f"  ssh {forward} {socket.gethostname()}")
    print("\nCtrl-C ends everything.", flush=True)


def has_desktop() -> bool:
    if sys.platform == "darwin":
        return not os.environ.get("SSH_CONNECTION")
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def watch(services: Services) -> int:
    """Waits for Ctrl-C; a service that ends by itself ends the demo."""
    while True:
        ended = services.ended()
        if ended is not None:
            raise DemoError(f"The delivery service {ended.domain} has ended.\n{services.why(ended)}")
        time.sleep(LOOK_SECONDS)


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
