"""One client for all providers: sessions, patience, limits, proofs. What is asked for, and what an answer must be, says the source."""
