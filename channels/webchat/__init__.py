"""Web chat: a page, its WebSocket, and the personal links that say who is talking."""

from channels.webchat.channel import WebChat
from channels.webchat.frames import Line

__all__ = ["Line", "WebChat"]
