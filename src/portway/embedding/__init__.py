"""Portway inside a program: the whole server started from a script, or one engine beside other work.

Use it through the package: `portway.serve`, `portway.Server`.
"""
