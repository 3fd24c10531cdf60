"""Lambda on the laptop: execution environments around a Runtime API on a socket, without Docker.

    function      what Lambda would be told about the function; the environment variables it gets
    runtime_api   the Runtime API of one environment, over HTTP
    environment   one process and its life: initialised, invoked, frozen, killed
    pool          environments on demand, one invocation each at a time
    report        START, END and REPORT lines
    invocations   the runtime interface emulator's own HTTP call, for container images

Standard library only. Nothing here runs inside a function.
"""
