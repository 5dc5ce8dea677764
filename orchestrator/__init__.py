"""Outreach: journeys in YAML, carried to subscribers over the carriers' own protocols."""
