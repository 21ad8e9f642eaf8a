"""The ways out: carrier mail through the relay, and the paid providers, one vendor a file."""
