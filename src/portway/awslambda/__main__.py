"""`python -m portway.awslambda [APP]`: a function served by Portway's own runtime client."""

from __future__ import annotations

import sys

from .runtime.serve import main

main(sys.argv[1:])
