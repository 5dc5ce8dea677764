"""`outreach demo`: two hundred subscribers live through seven days in about a minute."""

from orchestrator.cli.demo.command import demo

__all__ = ["demo"]
