"""Deterministic simulation: the real core, runtime and PostgreSQL, interleaved by a seed."""
