"""Benchmarks: throughput, latency, restore and the idiomatic Faust app they are compared with."""
