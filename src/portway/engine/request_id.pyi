"""Request ids. Nothing in it is for Python."""
