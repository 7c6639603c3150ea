"""Small things that every room may use and that depend on no room: arrays, hashes, decay, time, bounds, topics."""
