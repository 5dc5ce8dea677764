"""Third parties' programs that the peer tests run: there, or the test says so."""

from __future__ import annotations

import os
import shutil

import pytest


def require(program: str, package: str) -> str:
    """Where the program is. Without it the test skips and names the Debian package; where the
    environment has CI it fails, because there it must be."""
    found = shutil.which(program) or shutil.which(program, path="/usr/sbin:/usr/local/sbin")
    if found is not None:
        return found
    reason = f"{program} is not here: apt-get install -y {package}"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
