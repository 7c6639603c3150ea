"""What every room may use and what depends on nothing."""
