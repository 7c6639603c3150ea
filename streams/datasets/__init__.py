"""Reading event files and logs of decisions, Nearstream's own and those of public data sets."""
