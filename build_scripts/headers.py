"""Response headers of the asset folder and of pages. A worker obeys its own script's headers, not its page's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

WORKER_SCRIPTS = ("worker.js", "media-worker.js")

COMMON = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    # The files keep their names from version to version: ask each time, and be answered 304.
    "Cache-Control": "no-cache",
}


def content_security_policy(connect: Iterable[str], **more: str) -> str:
    """The policy that Pyodide works under; `connect` are the delivery services' origins, `more` further directives."""
    directives = {
        "default-src": "'none'",
        "script-src": "'self' 'wasm-unsafe-eval'",
        "worker-src": "'self'",
        "connect-src": " ".join(["'self'", *connect]),
        "base-uri": "'none'",
        "form-action": "'none'",
        **{name.replace("_", "-"): value for name, value in more.items()},
        "require-trusted-types-for": "'script'",
        "trusted-types": "roomkey",
    }
    return "; ".join(f"{name} {value}" for name, value in directives.items())


def asset_headers(connect: Iterable[str] = ()) -> dict[str, dict[str, str]]:
    """Headers of the asset folder: under "*" those of every file, under a file's name those it has on top."""
    everywhere = {**COMMON, "Content-Security-Policy": content_security_policy(connect, frame_ancestors="'none'")}
    # A page that is cross-origin isolated may start only workers that say so as well; elsewhere it changes nothing.
    workers = {name: {"Cross-Origin-Embedder-Policy": "require-corp"} for name in WORKER_SCRIPTS}
    return {"*": everywhere, **workers}


def page_headers(connect: Iterable[str], frames: Iterable[str] = (), frame_ancestors: str = "'none'") -> dict[str, str]:
    """Headers of a demo page: `frames` are the origins that it shows, `frame_ancestors` is who may show it."""
    return {
        **COMMON,
        "Content-Security-Policy": content_security_policy(
            connect,
            style_src="'self'",
            img_src="'self' data:",
            font_src="'self'",
            frame_src=" ".join(frames) or "'none'",
            frame_ancestors=frame_ancestors,
        ),
    }


def netlify_style(headers: Mapping[str, Mapping[str, str]]) -> str:
    """The same as a `_headers` file, which several static hosts read; paths are relative to the asset folder's own."""
    blocks = []
    for name, fields in headers.items():
        lines = [f"/roomkey/{name}", *(f"  {field}: {value}" for field, value in fields.items())]
        blocks.append("\n".join(lines))
    return "\n".join(blocks) + "\n"
