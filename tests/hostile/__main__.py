"""`python -m tests.hostile`: the fuzzers, one target after the other, each in a process of its own.

They look for octets that reach code which no earlier input has reached (atheris: libFuzzer under
Python), so unlike the tests they never end by themselves: `--minutes` says how long for each. What
they find is printed in hexadecimal, and the exit code is 1; `--keep` writes the shortest inputs
that reached something new to `corpus/`, which the tests replay. Needs the extra `fuzz`.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

NAMES = (
    *("framing", "bodies", "delivered", "receipts", "parts", "alphabets", "customers"),
    *("cmpp_bodies", "sgip_bodies", "smgp_bodies"),
    *("cmpp_session", "smgp_session", "sgip_session", "sgip_visit"),
    *("wbxml", "push", "pap", "mm7_callback", "mm7_answer"),
    *("telegram", "wechat", "seals", "whatsapp", "aggregator", "answers"),
    *("tokens", "chat", "desk_words"),
)
"""As in `tests.hostile.targets`, which must not be imported before it is watched."""

WATCHED = ["channels", "orchestrator.core", "orchestrator.web.desk"]
LONGEST_KEPT = 512
MOST_KEPT = 120


def child(name: str, arguments: list[str]) -> None:
    """libFuzzer's own main, over one instrumented target; never returns. Nothing of ours may have
    been imported before: only what is imported here is watched."""
    import atheris

    with atheris.instrument_imports(include=WATCHED):
        from tests.hostile.targets import LONGEST, TARGETS
    target = TARGETS[name]
    atheris.Setup([sys.argv[0], f"-max_len={LONGEST}", *arguments], target)
    atheris.Fuzz()


def run(name: str, folder: Path, *arguments: str) -> tuple[int, str]:
    """One run of libFuzzer: its exit code, and what it said."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.hostile", "--child", name, "--", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
        env=None, check=False,
    )  # fmt: skip
    (folder / f"{name}.log").write_text(done.stdout)
    return done.returncode, done.stdout


def hunt(name: str, seconds: int, folder: Path, keep: bool) -> bool:
    """The target has been fuzzed for so long; True if it held."""
    from tests.hostile.seeds import mutated, seeds

    found, begun, words = folder / name, folder / f"{name}-seeds", folder / f"{name}-words"
    for made in (found, begun):
        made.mkdir()
    for number, octets in enumerate([*seeds(name), *mutated(name, 500, seed=1)]):
        (begun / str(number)).write_bytes(octets)
    # Names of fields and elements: readers in C are not watched, so nothing leads to them.
    names = {it for octets in seeds(name) for it in re.findall(rb"[A-Za-z][\w:-]{2,30}", octets)}
    words.write_text("".join(f'"{it.decode()}"\n' for it in sorted(names)))
    code, said = run(
        name, folder, str(found), str(begun), f"-max_total_time={seconds}", "-timeout=5",
        "-rss_limit_mb=1024", *([f"-dict={words}"] if names else []), "-print_final_stats=1",
        f"-artifact_prefix={found}-broken-",
    )  # fmt: skip
    executions = re.findall(r"number_of_executed_units: (\d+)", said)
    covered = re.findall(r"cov: (\d+) ft: (\d+)", said)
    figures = {
        "target": name,
        "seconds": seconds,
        "executions": int(executions[-1]) if executions else 0,
        "branches": int(covered[-1][0]) if covered else 0,
        "features": int(covered[-1][1]) if covered else 0,
        "held": code == 0,
    }
    print(json.dumps(figures), flush=True)
    for broken in folder.glob(f"{name}-broken-*"):
        print(f"{name} does not take {broken.read_bytes().hex()}")
    if code:
        print("\n".join(said.splitlines()[-60:]))
    if keep and code == 0:
        _keep(name, folder)
    return code == 0


def _keep(name: str, folder: Path) -> None:
    """The shortest inputs that reached what no earlier one had are in the corpus."""
    from tests.hostile.seeds import CORPUS

    inputs = sorted(
        {it.read_bytes() for it in (folder / name).iterdir()}, key=lambda it: (len(it), it)
    )
    short = [it.hex() for it in inputs if 0 < len(it) <= LONGEST_KEPT]
    CORPUS.mkdir(exist_ok=True)
    (CORPUS / f"{name}.hex").write_text("".join(f"{it}\n" for it in short[:MOST_KEPT]))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.hostile", description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0, help="for each target (1)")
    parser.add_argument("--only", choices=NAMES)
    parser.add_argument("--keep", action="store_true", help="write the corpus anew")
    parser.add_argument("--child", choices=NAMES, help=argparse.SUPPRESS)
    parser.add_argument("rest", nargs="*", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options.child, options.rest)
    names = [options.only] if options.only else NAMES
    with tempfile.TemporaryDirectory(prefix="outreach-hostile-") as made:
        held = [hunt(name, round(options.minutes * 60), Path(made), options.keep) for name in names]
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
