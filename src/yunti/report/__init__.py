"""The report of a climb: one page that opens anywhere, and its figures."""
