"""PostgreSQL and Valkey as children of this program: the default that needs no installation."""

from orchestrator.runtime.embedded.launcher import Urls, run_servers, servers

__all__ = ["Urls", "run_servers", "servers"]
