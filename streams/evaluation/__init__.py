"""How good a log of events or decisions says Nearstream is, as figures and as a page."""
