"""The import layers of py_src/roomkey, held one way: a module may import from its own layer and from those below it.

bridge -> client -> conference -> federation, transparency, media -> mls -> crypto -> tls -> errors

`host` is handed in: nothing imports it but bridge and the delivery service's command line; others may import its
interface, which is types only. It may use the layers up to `federation`, whose requests it carries out. `js` and
`pyodide` are named in host/browser* and bridge alone.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from build_scripts import paths

# Lowest first; packages of one row do not import each other.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("errors",),
    ("tls",),
    ("crypto",),
    ("mls",),
    ("federation", "transparency", "media"),
    ("conference",),
    ("client",),
    ("bridge",),
)
HEIGHT = {name: height for height, row in enumerate(LAYERS) for name in row}
HOST = "host"
HOST_SEES_UP_TO = HEIGHT["federation"]  # hosts carry out what federation asks for
HOST_INTERFACE = "roomkey.host.interface"  # types only: what the layers are handed
BROWSER_ONLY = {"js", "pyodide", "pyodide_js"}


def problems() -> Iterator[str]:
    """One line for each import that goes up, sideways, or to the browser from where it may not."""
    package = paths.PY_SRC / "roomkey"
    for path in sorted(package.rglob("*.py")):
        for line, imported in imports(path):
            reason = refusal(path.relative_to(package), imported)
            if reason is not None:
                yield f"{path.relative_to(paths.ROOT)}:{line}: {reason}"
    delivery = paths.PY_SRC / "roomkey_delivery"
    for path in sorted(delivery.rglob("*.py")):
        for line, imported in imports(path):
            if imported.split(".")[0] in BROWSER_ONLY:
                yield f"{path.relative_to(paths.ROOT)}:{line}: {imported} exists in the browser only"


def refusal(file: Path, imported: str) -> str | None:
    """Why the module in `file` (relative to py_src/roomkey) may not import `imported`; None when it may."""
    layer = layer_of(file)
    top = imported.split(".")[0]
    if top in BROWSER_ONLY and layer != "bridge" and not (layer == HOST and file.stem.startswith("browser")):
        return f"{imported} belongs to host/browser and bridge"
    if top == "roomkey_delivery":
        return "the wheel does not know the delivery service"
    if top == "roomkey_interop":
        return "the engine does not know the test runner's interface"
    if top != "roomkey" or layer == "":
        return None
    target = [*imported.split("."), ""][1]
    if target in ("", "__version__") or target == layer:
        return None
    if target == HOST:
        allowed = layer == "bridge" or imported.startswith(HOST_INTERFACE)
        return None if allowed else f"{layer} is handed its host, it does not import {imported}"
    if target not in HEIGHT:
        return f"{imported} is in no layer"
    if layer == HOST:
        return None if HEIGHT[target] <= HOST_SEES_UP_TO else f"host does not import {imported}"
    if layer not in HEIGHT:
        return f"{layer} is in no layer"
    if HEIGHT[target] >= HEIGHT[layer]:
        return f"{layer} is not above {target} (imports {imported})"
    return None


def layer_of(file: Path) -> str:
    """The layer of a file of the package: its folder's name, or its own; "" for the package's __init__."""
    first = file.parts[0].removesuffix(".py")
    return "" if first == "__init__" else first


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Line and full dotted name of everything that the file imports, also inside functions."""
    package = path.relative_to(paths.PY_SRC).parent.parts
    for node in ast.walk(ast.parse(path.read_bytes(), str(path))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package[: len(package) - node.level + 1]
                base = ".".join([*above, *([node.module] if node.module else [])])
            if base in ("roomkey", "roomkey.host"):
                yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)
            else:
                yield node.lineno, base
