"""The demo: simulated shoppers, a broker, a worker, and a terminal view of what comes of it.

:mod:`streams.demo.run` starts everything and stops it; :mod:`streams.demo.feed` sends what the shoppers do;
:mod:`streams.demo.watch` reads the recommendations and measures; :mod:`streams.demo.view` draws.
"""
