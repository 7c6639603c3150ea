"""What apps send, decoded, repaired or refused."""
