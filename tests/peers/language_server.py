"""The YAML language server that VS Code's YAML extension runs, spoken to as an editor speaks to it
(Language Server Protocol 3.17, over stdio)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.peers.node import HERE, require_packages

SERVER = HERE / "node_modules/yaml-language-server/bin/yaml-language-server"
PATIENCE_S = 60
"""After which something is wrong, not slow."""

SETTINGS = {
    "yaml": {
        "validate": True,
        "hover": True,
        "completion": True,
        "schemaStore": {"enable": False},  # it is fetched; nothing of ours needs the network
        "format": {"enable": False},
    }
}


class Editor:
    """An editor with a folder open. Lines and columns count from 0, as the protocol's do."""

    def __init__(self, process: asyncio.subprocess.Process, settings: Mapping[str, Any]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._in, self._out = process.stdin, process.stdout
        self._settings = settings
        self._last = 0
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._diagnosed: dict[str, asyncio.Future[list[dict[str, Any]]]] = {}
        self._versions: dict[str, int] = {}
        self._listening = asyncio.create_task(self._listen())

    async def ask(self, method: str, **params: Any) -> Any:
        """The server's answer."""
        self._last += 1
        answer = self._answers[self._last] = asyncio.get_running_loop().create_future()
        self._write({"id": self._last, "method": method, "params": params})
        async with asyncio.timeout(PATIENCE_S):
            return await answer

    def tell(self, method: str, **params: Any) -> None:
        self._write({"method": method, "params": params})

    async def problems(self, path: Path, text: str) -> list[str]:
        """What is underlined in the file, with this text: `line: message`, from 1. The same file
        cannot be asked for again: what is told of it does not say of which text."""
        uri = path.as_uri()
        assert uri not in self._diagnosed
        told = self._diagnosed[uri] = asyncio.get_running_loop().create_future()
        self._show(uri, text)
        async with asyncio.timeout(PATIENCE_S):
            found = await told
        return [f"{it['range']['start']['line'] + 1}: {it['message']}" for it in found]

    async def offered(self, path: Path, text: str) -> dict[str, dict[str, Any]]:
        """What is offered, by label, where `|` stands in the text."""
        line, column = self._put(path, text)
        answer = await self.ask(
            "textDocument/completion",
            textDocument={"uri": path.as_uri()},
            position={"line": line, "character": column},
        )
        items = answer if isinstance(answer, list) else answer["items"]
        return {item["label"]: item for item in items}

    async def hover(self, path: Path, text: str) -> str:
        """What is shown over the place where `|` stands in the text, as Markdown."""
        line, column = self._put(path, text)
        answer = await self.ask(
            "textDocument/hover",
            textDocument={"uri": path.as_uri()},
            position={"line": line, "character": column},
        )
        return "" if answer is None else str(answer["contents"]["value"])

    def _put(self, path: Path, text: str) -> tuple[int, int]:
        """The text stands in the file without its `|`; the line and column of that."""
        before, _, after = text.partition("|")
        self._show(path.as_uri(), before + after)
        return before.count("\n"), len(before) - (before.rfind("\n") + 1)

    def _show(self, uri: str, text: str) -> None:
        """The file is open, with this text."""
        version = self._versions[uri] = self._versions.get(uri, 0) + 1
        if version == 1:
            whole = {"uri": uri, "languageId": "yaml", "version": version, "text": text}
            self.tell("textDocument/didOpen", textDocument=whole)
        else:
            named = {"uri": uri, "version": version}
            self.tell("textDocument/didChange", textDocument=named, contentChanges=[{"text": text}])

    def _write(self, message: Mapping[str, Any]) -> None:
        octets = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self._in.write(b"Content-Length: %d\r\n\r\n" % len(octets) + octets)

    async def _listen(self) -> None:
        while head := await self._out.readline():
            length = int(head.removeprefix(b"Content-Length: "))
            while await self._out.readline() != b"\r\n":
                pass
            self._heard(json.loads(await self._out.readexactly(length)))

    def _heard(self, message: dict[str, Any]) -> None:
        if "method" not in message:
            answer = self._answers.pop(message["id"])
            if "error" in message:
                answer.set_exception(AssertionError(message["error"]))
            else:
                answer.set_result(message["result"])
        elif message["method"] == "textDocument/publishDiagnostics":
            told = message["params"]
            waiting = self._diagnosed.get(told["uri"])
            if waiting is not None and not waiting.done():
                waiting.set_result(told["diagnostics"])
        elif "id" in message:
            self._write({"id": message["id"], "result": self._granted(message)})

    def _granted(self, message: dict[str, Any]) -> Any:
        """What the server asks of its editor."""
        if message["method"] != "workspace/configuration":
            return None
        return [self._settings.get(item["section"]) for item in message["params"]["items"]]

    def stop(self) -> None:
        self._listening.cancel()


@asynccontextmanager
async def editor(folder: Path, more: Mapping[str, Any] | None = None) -> AsyncIterator[Editor]:
    """An editor with the folder open, and `more` settings of the server. It ends with the test."""
    require_packages("yaml-language-server")
    process = await asyncio.create_subprocess_exec(
        "node",
        str(SERVER),
        "--stdio",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    settings = {"yaml": {**SETTINGS["yaml"], **(more or {})}}
    it = Editor(process, settings)
    try:
        await it.ask(
            "initialize",
            processId=None,
            rootUri=folder.as_uri(),
            workspaceFolders=[{"uri": folder.as_uri(), "name": folder.name}],
            capabilities={
                "workspace": {"configuration": True, "workspaceFolders": True},
                "textDocument": {
                    "completion": {"completionItem": {"documentationFormat": ["markdown"]}},
                    "hover": {"contentFormat": ["markdown"]},
                },
            },
        )
        it.tell("initialized")
        it.tell("workspace/didChangeConfiguration", settings=settings)
        yield it
        await it.ask("shutdown")
        it.tell("exit")
    finally:
        it.stop()
        try:
            await asyncio.wait_for(process.wait(), 5)
        except TimeoutError:
            process.kill()
            await process.wait()
