"""Names and a question to context: triples, ontology, co-click queries, expansion."""
