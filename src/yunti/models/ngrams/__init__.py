"""n-gram models of tokens: counted, smoothed and searched with NumPy alone."""
