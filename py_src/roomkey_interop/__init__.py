"""Roomkey behind the interface of the MLS working group's test runner.

Not part of the wheel and not for production: private keys and epoch secrets leave it, as the interface asks.
`python3 build_scripts interop` serves it; web/docs/interop.md says how to run it against other implementations.
"""
