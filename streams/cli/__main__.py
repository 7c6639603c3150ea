"""``python -m streams.cli`` is ``nearstream``."""

from streams.cli import main

main()
