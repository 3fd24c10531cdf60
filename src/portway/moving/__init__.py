"""Moving in: the configuration of another server as one of Portway, and files for what stands around it.

Nothing here reads a file, starts a process or prints, except `gunicorn_file`, which runs a configuration file
that is a Python program.
"""
