"""`roomkey-relay`: run a relay."""

from __future__ import annotations

import argparse
import asyncio
import base64
import logging
import signal
import sys

from roomkey_relay.certificate import OwnCertificate, own_certificate
from roomkey_relay.relay import CertificateFiles, relaying
from roomkey_relay.sessions import PATH


def main(arguments: list[str] | None = None) -> int:
    """Runs until it is told to stop; returns the exit status."""
    options = _parser().parse_args(arguments)
    if (options.certificate is None) != (options.key is None):
        print("--certificate and --key go together", file=sys.stderr)
        return 2
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    try:
        asyncio.run(_run(options))
    except OSError as error:
        print(f"cannot serve: {error.strerror or error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "roomkey-relay", description="Relays protected packets between the ends of a room. It has no keys."
    )
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen at (default 127.0.0.1)")
    parser.add_argument("--port", type=int, default=8444, help="the UDP port (default 8444); 0 picks a free one")
    parser.add_argument("--certificate", metavar="FILE", help="a certificate chain (PEM) for the relay's name")
    parser.add_argument("--key", metavar="FILE", help="its key (PEM)")
    parser.add_argument(
        "--allow-origin", action="append", metavar="ORIGIN", help="a website that may use it, repeatable; default: all"
    )
    return parser


async def _run(options: argparse.Namespace) -> None:
    made: OwnCertificate | CertificateFiles
    if options.certificate is None:
        made = own_certificate(options.host)
    else:
        made = CertificateFiles(options.certificate, options.key)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with relaying(options.host, options.port, made, origins=options.allow_origin) as port:
        host = f"[{options.host}]" if ":" in options.host else options.host
        print(f"relay: https://{host}:{port}{PATH}", flush=True)
        if isinstance(made, OwnCertificate):
            print(f"certificate hash: {base64.b64encode(made.hash).decode()}", flush=True)
        await stop.wait()
