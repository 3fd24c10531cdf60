"""The limit of open files."""

from __future__ import annotations

import os
import resource

from portway.server.resources import occupy_standard_streams, raise_descriptor_limit


def test_the_soft_limit_rises_as_far_as_the_hard_one_and_never_falls() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    ceiling = hard if hard != resource.RLIM_INFINITY else 1 << 20
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
        assert raise_descriptor_limit(300) == 300
        assert raise_descriptor_limit(100) == 300
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (300, hard)
        if hard != resource.RLIM_INFINITY:
            assert raise_descriptor_limit(ceiling + 1) == ceiling
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_closed_standard_stream_is_never_given_to_a_socket() -> None:
    child = os.fork()
    if child == 0:
        os.close(0)
        os.close(2)
        occupy_standard_streams()
        links = [os.readlink(f"/proc/self/fd/{number}") for number in (0, 2)]
        os._exit(0 if links == [os.devnull, os.devnull] else 1)
    assert os.waitpid(child, 0)[1] == 0
