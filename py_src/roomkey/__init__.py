"""Roomkey: MLS keys for conferences across delivery services (draft-omara-mls-federation-00 on RFC 9420)."""

__version__ = "0.1.0"
