"""Fuzz targets. Each module has `ALLOWED`, the only exceptions that may come out, and `one(data)`.

`one` tries some bytes and returns; anything it raises is a finding.
"""
