"""Seeded faults on a whole deployment under load, and the proof that nothing was lost or doubled."""
