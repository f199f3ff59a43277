"""`python3 build_scripts interop`: Roomkey as a client of the MLS working group's test runner (web/docs/interop.md)."""

from __future__ import annotations

import argparse
import asyncio
import sys

from roomkey_interop.server import serve


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python3 build_scripts interop", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="0.0.0.0 lets other machines in, with all private keys")
    parser.add_argument("--port", type=int, default=50051, help="0 picks a free one")
    options = parser.parse_args(arguments)

    def started(port: int) -> None:
        print(f"roomkey: serving mls_client.MLSClient on {options.host}:{port}", flush=True)

    try:
        asyncio.run(serve(options.host, options.port, started))
    except RuntimeError as error:
        print(f"roomkey: {error}", file=sys.stderr)
        return 1
    return 0
