"""The decision: rules as a table (`table`) and one pure machine over it (`machine`)."""
