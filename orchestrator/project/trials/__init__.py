"""Tests of journeys, in YAML beside them: read, lived on a skipped clock, compared, and written
anew."""
