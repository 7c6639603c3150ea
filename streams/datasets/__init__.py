"""Files of events and logs of decisions, from here and elsewhere."""
