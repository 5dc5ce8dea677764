"""`python -m orchestrator.cli` is `outreach`."""

from orchestrator.cli.main import main

main()
