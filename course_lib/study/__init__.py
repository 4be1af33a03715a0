"""The study: every row of Tables I to IV as data, its protocols, the store of results, the queue and its workers."""
