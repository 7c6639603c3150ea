"""The imperative shell: Faust app, topics, transport, publishing, brokers and command line."""
