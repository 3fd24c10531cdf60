"""The compiled engine: sockets, HTTP/1.1, timers, and the fast paths into WSGI and ASGI.

One extension module per unit; see docs/architecture.md for what each one owns.
"""
