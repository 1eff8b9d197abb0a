"""A small Azure Service Bus over real AMQP 1.0, for tests. See README.md."""
