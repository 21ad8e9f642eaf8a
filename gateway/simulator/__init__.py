"""A carrier, a Twilio and a mailbox that live on loopback: for `gateway demo`, tests and benchmarks."""
