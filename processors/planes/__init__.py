"""The four planes: what one micro-batch does to states and topics. The only room that knows all others."""
