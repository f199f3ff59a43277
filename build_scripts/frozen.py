"""Runs inside Pyodide, started by freeze.mjs: compiles the library's modules that roomkey needs, and roomkey's own.

Imports nothing of its own before the list is taken: each module imported here would be taken for one that is needed.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # the name that type checkers know; importing it would load `typing`
if TYPE_CHECKING:
    from types import ModuleType

SOURCES = "/sources/"
ROOMKEY_ZIP = "/lib/roomkey.zip/"  # where the worker puts roomkey.zip: tracebacks name it


def compile_modules(names: str) -> str:
    """Imports the library's modules in the JSON list `names`; all loaded and all of roomkey, compiled, as JSON."""
    for name in decode(names):
        __import__(name)
    loaded = list(sys.modules.values())

    import json
    import os

    files = [os.path.join(folder, name) for folder, _, found in os.walk(SOURCES) for name in found]
    wanted = [path for path in files if "__pycache__" not in path]
    return json.dumps(
        {
            "python": sys.version.split()[0],
            "stdlib": compile_stdlib(loaded),
            "roomkey": {compiled_name(path.removeprefix(SOURCES)): compile_source(path) for path in sorted(wanted)},
        }
    )


def decode(names: str) -> list[str]:
    """A JSON list of module names; read without `json`, which is not needed by all that run this."""
    return [name for name in names.strip("[]").replace('"', "").replace(" ", "").split(",") if name]


def compile_stdlib(loaded: list[ModuleType]) -> dict[str, str]:
    """File name in the zip -> .pyc in base64, for the loaded modules that came from the stock zip."""
    import zipimport

    stock = next(entry for entry in sys.path if entry.endswith(".zip"))
    importer = zipimport.zipimporter(stock)
    result = {}
    for module in loaded:
        spec = getattr(module, "__spec__", None)
        origin = str(getattr(spec, "origin", None))
        if origin.startswith(f"{stock}/"):
            name = compiled_name(origin.removeprefix(f"{stock}/"))
            result[name] = compile_file(importer.get_data(origin), origin)
    return result


def compile_source(path: str) -> str:
    """A file of roomkey as it goes into the zip, in base64: compiled when it is Python, unchanged otherwise."""
    import base64
    from pathlib import Path

    content = Path(path).read_bytes()
    if path.endswith(".py"):
        return compile_file(content, ROOMKEY_ZIP + path.removeprefix(SOURCES))
    return base64.b64encode(content).decode()


def compiled_name(name: str) -> str:
    """The name in the zip of the file `name`."""
    return f"{name}c" if name.endswith(".py") else name


def compile_file(source: bytes, origin: str) -> str:
    """An unchecked-hash .pyc (PEP 552), not optimised, in base64: no time stamp, nothing to compare at import."""
    import base64
    import importlib._bootstrap_external as bootstrap
    from importlib.util import source_hash

    code = compile(source, origin, "exec", dont_inherit=True, optimize=0)
    packed = bootstrap._code_to_hash_pyc(code, source_hash(source), False)  # type: ignore[attr-defined]
    return base64.b64encode(bytes(packed)).decode()
