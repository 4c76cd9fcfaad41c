"""Kafka: brokers, their listeners and topics, against the apps that use them."""
