"""Commits (RFC 9420 section 12.4)."""

from __future__ import annotations

from typing import Annotated

from roomkey.mls.proposals import ProposalOrRef
from roomkey.mls.treekem import UpdatePath
from roomkey.tls import Struct, optional, vector


class Commit(Struct):
    """`struct { ProposalOrRef proposals<V>; optional<UpdatePath> path; } Commit;`"""

    proposals: Annotated[tuple[ProposalOrRef, ...], vector(ProposalOrRef)]
    path: Annotated[UpdatePath | None, optional(UpdatePath)]
