"""Protocols that a connection changes to, over the engine's byte streams; nothing here touches a socket."""
