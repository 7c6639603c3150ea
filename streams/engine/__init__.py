"""The planes wired together, one partition's exactly-once step, and the driver that runs it all in memory."""

from streams.engine.driver import TopologyDriver

__all__ = ["TopologyDriver"]
