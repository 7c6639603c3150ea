"""What an operator asks of a running system, and what an operator changes in it."""
