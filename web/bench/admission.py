"""Admission of public keys under the benchmark (py_src/roomkey/crypto/admission.py), in the browser and on CPython."""

from roomkey.crypto.admission import admit_dh_key, admit_signature_keys


class Admission:
    """Fresh keys, then the steps of web/bench/scenario.ts over them."""

    def __init__(self, crypto):
        self.crypto = crypto

    async def prepare(self, count):
        self.together, self.single = [await self.fresh("ed25519", count) for _ in range(2)]
        self.x25519, self.p256 = [await self.fresh(group, count) for group in ("X25519", "P-256")]

    async def fresh(self, kind, count):
        pairs = await self.crypto.generate_keys(kind, count)
        await self.crypto.forget_keys([pair.private for pair in pairs])
        return [pair.public for pair in pairs]

    async def ed25519_together(self):
        await admit_signature_keys(self.crypto, [("ed25519", public) for public in self.together])

    async def ed25519_single(self):
        for public in self.single:
            await admit_signature_keys(self.crypto, [("ed25519", public)])

    async def ed25519_known(self):
        await self.ed25519_together()

    async def x25519_keys(self):
        for public in self.x25519:
            admit_dh_key("X25519", public)

    async def p256_keys(self):
        for public in self.p256:
            admit_dh_key("P-256", public)
