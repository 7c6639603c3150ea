"""Defects of aiokafka and Faust that are worked around, one module each.

Each says what upstream does, and has a test that fails once upstream does something else: then look whether the module
can go.
"""
