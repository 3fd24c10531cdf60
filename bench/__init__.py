"""Benchmarks: Portway beside its peers and nginx, on one core each for server and load.

`python -m bench --help` lists the commands, README.md says how to read the figures.
Nothing here is imported by the server.
"""
