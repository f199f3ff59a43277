"""`python3 build_scripts COMMAND`: makes the environment with the standard library only, then goes on in it.

Each command is the module of its name, whose `main(arguments)` returns the exit code.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path

COMMANDS = {
    "demo": "starts two delivery services and the pages; --headless plays the story without a desktop",
    "test": "check, then all tests",
    "build": "makes web/dist: the asset folder that any static server can serve",
    "bench": "runs ours beside the peers; --json FILE",
    "fuzz": "fuzzes what the network can reach; --runs N [TARGET...]",
    "interop": "serves our engine to the MLS working group's test runner; --port N",
    "check": "format, types, import layers, links, locks, API report",
}
USAGE = "usage: python3 build_scripts COMMAND [arguments]\n\n" + "\n".join(
    f"  {name:<7} {text}" for name, text in COMMANDS.items()
)


def main(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(USAGE)
        return 0 if arguments else 2
    command, rest = arguments[0], arguments[1:]
    if command not in COMMANDS:
        print(f"roomkey: no command {command!r}\n\n{USAGE}", file=sys.stderr)
        return 2
    # Run as a folder, Python puts the folder itself first on its path; the package is its parent's.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)
    if sys.version_info < (3, 11):  # noqa: UP036 - the one place that an older Python reaches
        print(f"roomkey: Python 3.11 or newer is needed; this is {sys.version.split()[0]}.", file=sys.stderr)
        return 1
    from build_scripts import environment, paths

    try:
        environment.ensure_environment()
    except environment.SetupError as error:
        print(f"roomkey: {error}", file=sys.stderr)
        return 1
    if Path(sys.prefix) != paths.VENV:
        python = str(paths.VENV_PYTHON)
        return os.execve(python, [python, str(paths.SCRIPTS), *arguments], environment.variables())
    os.chdir(paths.ROOT)
    try:
        return int(import_module(f"build_scripts.{command}").main(rest))
    except KeyboardInterrupt:
        return 130  # what shells say of a command that was interrupted


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
