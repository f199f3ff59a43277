"""Which modules the browser's Python must have: what roomkey imports, and what the library itself imports late."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

from build_scripts import paths

NATIVE_ONLY = (  # beginnings of names
    "roomkey/host/native",  # these files import `cryptography` and `httpx`, which the browser has not
    *(
        "roomkey/media/frame",
        "roomkey/media/covers",
        "roomkey/conference/protecting",
    ),  # a media worker's, in the browser
)

# Modules that Pyodide's boot and roomkey's imports do not load, but some call later does.
LATE = (
    "codeop",  # pyodide.code, at boot in some start-ups: without it Pyodide dies
    "traceback",  # the text of an exception that crosses to JavaScript, with the three below
    "linecache",
    "tokenize",
    "_colorize",
    "asyncio",  # pyodide.webloop
    "asyncio.timeouts",
    "concurrent.futures.thread",  # a lazy attribute of asyncio's base loop
    "encodings.ascii",  # codecs are imported when first named
    "encodings.latin_1",
    "encodings.idna",  # domain names, with the two below
    "encodings.punycode",
    "stringprep",
    "unicodedata",
    "_strptime",  # datetime.strptime
    "zipimport",
    "importlib.metadata",  # loadPackage: importlib.invalidate_caches,
    "encodings.cp437",  # file names in the wheel,
    "tarfile",  # and the kinds of archive
    "importlib.resources",  # package data
)


def browser_sources() -> dict[str, Path]:
    """The files of the package roomkey that go into roomkey.zip: name in the archive -> path."""
    found = {
        path.relative_to(paths.PY_SRC).as_posix(): path
        for path in sorted((paths.PY_SRC / "roomkey").rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }
    return {name: path for name, path in found.items() if not name.startswith(NATIVE_ONLY)}


def module_name(file_name: str) -> str:
    """The module of a source file: "roomkey/mls/__init__.py" -> "roomkey.mls"."""
    return file_name.removesuffix(".py").replace("/", ".").removesuffix(".__init__")


def browser_modules() -> list[str]:
    """The modules of the package roomkey that the browser's Python can import."""
    return [module_name(name) for name in browser_sources() if name.endswith(".py")]


def needed_stdlib() -> list[str]:
    """The standard library's modules to import, so that with what they import all that roomkey needs is loaded."""
    sources = [path for name, path in browser_sources().items() if name.endswith(".py")]
    return sorted({name for path in sources for name in imported_stdlib(path)} | set(LATE))


def imported_stdlib(path: Path) -> Iterator[str]:
    """The standard library's modules that import statements anywhere in the file name."""
    for node in ast.walk(ast.parse(path.read_bytes(), str(path))):
        found: list[str] = []
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module is not None:
            found = [node.module]
        yield from (name for name in found if name.split(".")[0] in sys.stdlib_module_names)
