"""The durable state: what came in, what must be done, what happened, who agreed."""
