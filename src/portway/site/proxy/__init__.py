"""Proxy routes: an ASGI application that passes requests on to other servers, over aiohttp's client.

What aiohttp does: names, connections, TLS, the pool, and reading responses. What stands here: which fields
travel and which are said anew (`fields.py`), which server is asked (`upstreams.py`), what becomes of its
answer (`passage.py`) and of connections that change their protocol (`tunnel.py`). Imported only where a
site has proxy routes: `pip install 'portway[proxy]'`.
"""
