-- What a store with very many rows must not read from end to end.

-- What a breaker holds is let go by its way, at every start and whenever a carrier takes mail again.
CREATE INDEX delivery_paused ON delivery (number, due_at) WHERE fate = 'waiting' AND reason = 'paused';

-- What an outage of the relay has put off is let go when the relay takes mail again.
CREATE INDEX delivery_relay ON delivery (due_at) WHERE fate = 'waiting' AND reason = 'relay';
