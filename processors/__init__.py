"""The functional core: what an event means, what a user is, what to recommend, which ad wins."""
