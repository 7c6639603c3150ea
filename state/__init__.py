"""Partition stores: codecs, atomic commit, changelog, restore and erasure."""
