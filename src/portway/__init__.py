"""Portway: one Python web application, served and shipped unchanged."""

__version__ = "0.1.0"
