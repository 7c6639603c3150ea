"""What can be set, and from where it is read."""
