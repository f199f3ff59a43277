"""Three people, and Mallory, who has keys and an account like everybody else and keeps to no rule."""

from tests.support.conferences import alice, bob, carol, mallory, patient, simulation

__all__ = ["alice", "bob", "carol", "mallory", "patient", "simulation"]
