"""Benchmarks: throughput, latency, restore, and the apps on Faust and Quix Streams they are compared with."""
