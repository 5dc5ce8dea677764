"""A text as Jinja's lexer cuts it, with the column of each of its words."""

from __future__ import annotations

from collections.abc import Iterator

from jinja2 import Environment
from jinja2.lexer import Token, TokenStream


class Source(Environment):
    """Jinja's lexer, keeping where each token stands. One per text."""

    def __init__(self) -> None:
        super().__init__()
        self.columns: list[int] = []
        self.words: list[str] = []
        self.read = 0
        self.stream: TokenStream | None = None

    def _tokenize(
        self,
        source: str,
        name: str | None,
        filename: str | None = None,
        state: str | None = None,
    ) -> TokenStream:
        raw: list[tuple[int, str, str]] = []
        column = 1
        for line, kind, word in self.lexer.tokeniter(source, name, filename, state):
            raw.append((line, kind, word))
            if kind != "whitespace":
                self.columns.append(column)
                self.words.append(word)
            column += len(word)
        self.columns.append(column)
        self.words.append("")
        self.stream = TokenStream(self._counted(self.lexer.wrap(raw, name)), name, filename)
        return self.stream

    def _counted(self, tokens: Iterator[Token]) -> Iterator[Token]:
        for token in tokens:
            self.read += 1
            yield token
        self.read += 1

    def position(self) -> tuple[int, str]:
        """Column and text of the token that the parser stands at."""
        if self.stream is None:
            return 1, ""
        index = max(self.read - 1 - len(self.stream._pushed), 0)
        index = min(index, len(self.columns) - 1)
        return self.columns[index], self.words[index]

    def column_of(self, word: str) -> int:
        """Where `word` first stands, or 1."""
        return self.columns[self.words.index(word)] if word in self.words else 1
