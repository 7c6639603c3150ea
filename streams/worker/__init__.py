"""One worker process: partitions taken over and run, read models fed, health, metrics and the web server."""
