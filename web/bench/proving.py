"""Proving a log's answer under the benchmark (py_src/roomkey/transparency/verifier.py), in the browser."""

import json

from roomkey.transparency.answer import Answer
from roomkey.transparency.trust_text import read_trust
from roomkey.transparency.verifier import Known, verify_answer, verify_entry, verify_head


class Proving:
    """One answer, as build_scripts/bench_transparency.py made it, and the steps of web/bench/scenario.ts over it."""

    def __init__(self, crypto):
        self.crypto = crypto

    def read(self, text):
        """What the answer is about, and whom to believe."""
        self.given = json.loads(text)
        self.data = bytes.fromhex(self.given["answer"])
        self.identity, self.now = self.given["identity"].encode(), self.given["time"]
        self.trust = read_trust(self.given["trust"])

    async def stranger(self):
        """Somebody new: nothing is known of them, nor of the log."""
        answer = Answer.decode(self.data)
        self.proved = await verify_answer(self.crypto, answer, self.identity, self.trust, Known(), (), self.now)

    async def known(self):
        """Somebody whose place in the map was proved before, under a head that is known."""
        answer = Answer.decode(self.data)
        before = self.proved.checkpoint
        head = await verify_head(self.crypto, answer.checkpoint, self.trust, before, (), self.now)
        pin, place = self.proved.chain.manifest, self.proved.place
        followed = answer.replace(presence=answer.presence.replace(manifests=()))
        await verify_entry(self.crypto, followed, head, self.identity, self.trust, pin, self.now, place)
