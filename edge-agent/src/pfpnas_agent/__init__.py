"""The edge agent: measures candidates on private data and private hardware, and answers with numbers only."""
