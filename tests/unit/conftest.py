"""People of a simulated world, for tests of conferences."""

from tests.support.conferences import alice, bob, carol, mallory, patient, simulation

__all__ = ["alice", "bob", "carol", "mallory", "patient", "simulation"]
