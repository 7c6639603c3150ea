"""Talking to Kafka: clients, topics, publishing, and the transport that hands Faust whole fetches."""
