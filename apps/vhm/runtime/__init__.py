"""A Kafka worker, whatever it does. Stands on `contract` alone and never knows which worker it runs."""
