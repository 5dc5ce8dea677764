"""Journeys drawn for Mermaid, read by Mermaid itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.core.journey import Journey
from orchestrator.project.graph import Graph, graph
from orchestrator.project.load import load_folder, load_journey
from orchestrator.project.mermaid import mermaid
from tests.peers.node import Peer, peer, require_packages

ROOT = Path(__file__).parents[2]

NASTY = r"""
journey: nasty
summary: "%%{init: x}%% says \"hello\"; 100% [all] {of} (it)"
class: promotion
enter: []
steps:
  - id: end
    when:
      - if: subscriber.name == 'a"b' and '`|' not in subscriber.tags
        do: [{leave: "because; graph TD; A-->B #1 <b>&amp;</b>"}]
      - if: usage.mb > 3
      - else:
          - set: {attributes: {subgraph: "end\\", 名字: "“引号”"}}
  - id: click
    wait_for: style
    within: 1d 12h
"""


@pytest.fixture(autouse=True)
def _installed() -> None:
    require_packages("mermaid")


async def read(mermaids: Peer, drawn: Graph) -> None:
    """Mermaid finds the nodes and edges of the graph, with their words."""
    mermaids.tell(flowchart=mermaid(drawn))
    told = await mermaids.next("diagram")
    assert "error" not in told, told["error"]
    assert told["type"] == "flowchart-v2"
    names = {f"n{number}": node for number, node in enumerate(drawn.nodes)}
    assert [it["id"] for it in told["nodes"]] == list(names)
    for it in told["nodes"]:
        node, lines = names[it["id"]], it["text"].split("<br>")
        said = [node.title, *node.lines]
        assert lines[-len(said) :] == [" ".join(line.split()) for line in said]
    found = [(names[it["start"]].id, names[it["end"]].id, it["text"]) for it in told["edges"]]
    assert found == [(it.source, it.target, it.label) for it in drawn.edges]


async def test_mermaid_reads_every_shipped_journey() -> None:
    journeys = load_folder(ROOT).journeys
    async with peer("mermaid.mjs") as mermaids:
        for journey in journeys.values():
            await read(mermaids, graph(journey, journeys.values()))


async def test_mermaid_reads_words_that_look_like_its_own() -> None:
    nasty: Journey = load_journey("journeys/nasty.yaml", NASTY)
    async with peer("mermaid.mjs") as mermaids:
        await read(mermaids, graph(nasty))
