"""Kafka: clients, topics, publishing, and the transport that gives Faust whole fetches."""
